"""The policies that the demo runs, one after the other."""

OBSERVE = """\
version: 1
policies:
  - name: lab
    preset: dualpath
    mode: observe
    selectors:
      - {kinds: [compute, storage]}
      - {switches: true}
"""

ENFORCE = OBSERVE.replace("observe", "enforce")

SEVENTY_THIRTY = """\
version: 1
policies:
  - name: lab
    mode: enforce
    preset: none
    selectors:
      - {kinds: [compute, storage]}
      - {switches: true}
    lanes:
      - {name: default, use: default, share: 4%, priority: 1}
      - {name: control, use: control, share: 1%, limit: 10%, priority: 0}
      - {name: model, share: 66.5%, priority: 1}
      - {name: kv, share: 28.5%, priority: 1}
    classes:
      - {name: control, lane: control, markings: {dscp: [48]}}
      - {name: collectives, lane: model, intents: [collective], markings: {dscp: [24]}}
      - {name: kv, lane: kv, intents: [kv-read], markings: {dscp: [32]}}
"""
"""Model and KV in the proportion 70:30, whoever else is quiet."""
