"""Advice on marking -> messages of policy.proto."""

from __future__ import annotations

from trafficd.api.v1 import policy_pb2, qos_pb2
from trafficd.convert.policy import marking_message
from trafficd.convert.words import number
from trafficd.core.marking import Advice, End
from trafficd_topology.qos.applications.render import Line
from trafficd_topology.qos.applications.words import Caution, Flow, Form

_FORMS: dict[Form, policy_pb2.SettingForm] = {
    Form.ENV: policy_pb2.SETTING_FORM_ENV,
    Form.UNSET: policy_pb2.SETTING_FORM_UNSET,
    Form.ARGUMENT: policy_pb2.SETTING_FORM_ARGUMENT,
    Form.FILE: policy_pb2.SETTING_FORM_FILE,
}


def advice_message(advice: Advice) -> policy_pb2.GetMarkingResponse:
    return policy_pb2.GetMarkingResponse(
        traffic_class=advice.question.traffic_class,
        library=advice.question.library,
        node=advice.question.node,
        role=number(advice.role),
        title=advice.title,
        ends=[_end(e) for e in advice.ends],
        cautions=[_caution(c) for c in advice.cautions],
        notes=advice.notes,
    )


def _end(end: End) -> policy_pb2.MarkingEnd:
    return policy_pb2.MarkingEnd(
        here=end.here,
        nodes=end.nodes,
        ports=[str(p) for p in end.ports],
        link_layer=number(end.link_layer),
        policy=end.policy,
        mode=number(end.mode) if end.policy else qos_pb2.MODE_UNSPECIFIED,
        lane=end.lane.name if end.lane else "",
        marking=None if end.marking is None else marking_message(end.marking),
        carries=[_flow(f) for f in end.why],
        settings=[_setting(line) for line in end.lines],
        ask_vendor=end.ask,
        notes=end.notes,
    )


def _flow(flow: Flow) -> policy_pb2.MarkingStatement:
    return policy_pb2.MarkingStatement(text=flow.why, source=flow.source)


def _caution(caution: Caution) -> policy_pb2.MarkingStatement:
    return policy_pb2.MarkingStatement(text=caution.text, source=caution.source)


def _setting(line: Line) -> policy_pb2.MarkingSetting:
    return policy_pb2.MarkingSetting(
        form=_FORMS[line.form],
        name=line.name,
        value=line.value,
        place=line.place,
        covers=line.covers,
        source=line.source,
    )
