{{/* Name of an image: component's repository, with registry and tag. */}}
{{- define "trafficd.image" -}}
{{- $tag := .root.Values.image.tag | default .root.Chart.AppVersion -}}
{{- if .root.Values.image.registry -}}{{ .root.Values.image.registry }}/{{- end -}}{{ .repository }}:{{ $tag }}
{{- end }}

{{- define "trafficd.selector" -}}
{app.kubernetes.io/name: trafficd, app.kubernetes.io/component: {{ . }}}
{{- end }}

{{/* A pod that Prometheus finds by annotations, and whatever the operator adds. */}}
{{- define "trafficd.annotations" -}}
{{- $found := dict -}}
{{- if .root.Values.monitoring.annotations -}}
{{- $found = dict "prometheus.io/scrape" "true" "prometheus.io/port" .port -}}
{{- end -}}
{{- with merge (deepCopy .more) $found }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "trafficd.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- range . }}
  - {{ toJson . }}
  {{- end }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "trafficd.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Flags with which an agent finds its controller and proves who it is. */}}
{{- define "trafficd.agentFlags" -}}
- --node=$(NODE_NAME)
- --controller=trafficd.{{ .Release.Namespace }}.svc:7600
{{- if .Values.tls.enabled }}
- --tls-dir={{ .Values.agent.stateDirectory }}/tls
- --ca-file=/etc/trafficd-authority/ca.crt
- --enroll=trafficd.{{ .Release.Namespace }}.svc:7603
- --token-file=/var/run/secrets/trafficd/token
{{- else }}
- --insecure
{{- end }}
- --http=0.0.0.0:7602
- --state-dir={{ .Values.agent.stateDirectory }}
- --config=/etc/trafficd-agent/agent.yaml
- --log-level={{ .Values.agent.logLevel }}
{{- end }}

{{- define "trafficd.agentProbes" -}}
ports:
  - {name: http, containerPort: 7602}
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  failureThreshold: 6
{{- end }}

{{- define "trafficd.agentMounts" -}}
- {name: state, mountPath: {{ .Values.agent.stateDirectory }}}
- {name: config, mountPath: /etc/trafficd-agent, readOnly: true}
{{- if .Values.tls.enabled }}
- {name: authority, mountPath: /etc/trafficd-authority, readOnly: true}
- {name: token, mountPath: /var/run/secrets/trafficd, readOnly: true}
{{- end }}
{{- end }}

{{- define "trafficd.agentVolumes" -}}
- name: state
  # Outlives the pod: the last accepted lanes are enforced after a reboot without a controller.
  hostPath: {path: {{ .Values.agent.stateDirectory }}, type: DirectoryOrCreate}
{{- if .Values.tls.enabled }}
- name: authority
  # Whom to trust; the key of the authority stays in its secret.
  configMap: {name: trafficd-authority}
- name: token
  # Says which pod on which node is asking; traded for a certificate of that node.
  projected:
    sources:
      - serviceAccountToken: {audience: trafficd, expirationSeconds: 3600, path: token}
{{- end }}
{{- end }}
