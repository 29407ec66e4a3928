"""Fabrics and inventories: messages of fabric.proto <-> values."""

from __future__ import annotations

from trafficd.api.v1 import agent_pb2, fabric_pb2
from trafficd.convert.agents import gpu_message, inventory, inventory_message
from trafficd.convert.words import number, word
from trafficd_topology.model import (
    Agreement,
    FabricSpec,
    Gpu,
    Host,
    Link,
    LinkLayer,
    Nic,
    NicKind,
    NodeInventory,
    PortKey,
    Role,
    Switch,
)


def fabric_message(spec: FabricSpec) -> fabric_pb2.Fabric:
    return fabric_pb2.Fabric(
        name=spec.name,
        hosts=[host_message(h) for h in spec.hosts],
        switches=[
            fabric_pb2.Switch(
                name=s.name, managed=s.managed, link_layer=number(s.link_layer), guid=s.guid or ""
            )
            for s in spec.switches
        ],
        links=[
            fabric_pb2.Link(a=_port_ref(link.a), b=_port_ref(link.b), rate_bps=link.rate_bps or 0)
            for link in spec.links
        ],
        agreements=[
            fabric_pb2.Agreement(digest=a.digest, date=a.date, by=a.by, switches=a.switches)
            for a in spec.agreements
        ],
    )


def _port_ref(key: PortKey) -> fabric_pb2.PortRef:
    return fabric_pb2.PortRef(node=key.node, port=key.port)


def host_message(host: Host) -> fabric_pb2.Host:
    return fabric_pb2.Host(
        name=host.name,
        role=number(host.role),
        nics=[_nic_message(n) for n in host.nics],
        gpus=[gpu_message(g) for g in host.gpus],
        memory_bytes_per_s=host.memory_bytes_per_s or 0,
        pool=host.pool or "",
    )


def _nic_message(nic: Nic) -> fabric_pb2.Nic:
    return fabric_pb2.Nic(
        name=nic.name,
        kind=number(nic.kind),
        link_layer=number(nic.link_layer),
        rate_bps=nic.rate_bps,
        pci=nic.pci or "",
        guid=nic.guid or "",
        numa_node=nic.numa_node,
        pcie_switch=nic.pcie_switch or "",
        gpu=nic.gpu,
        rail=nic.rail,
        members=nic.members,
        subnet=nic.subnet,
    )


def fabric(message: fabric_pb2.Fabric) -> FabricSpec:
    return FabricSpec(
        message.name,
        tuple(_host(h) for h in message.hosts),
        tuple(
            Switch(s.name, s.managed, word(LinkLayer, s.link_layer, LinkLayer.ETHERNET), s.guid or None)
            for s in message.switches
        ),
        tuple(
            Link(PortKey(link.a.node, link.a.port), PortKey(link.b.node, link.b.port), link.rate_bps or None)
            for link in message.links
        ),
        tuple(Agreement(a.digest, a.date, a.by, tuple(a.switches)) for a in message.agreements),
    )


def _host(message: fabric_pb2.Host) -> Host:
    return Host(
        message.name,
        word(Role, message.role, Role.OTHER),
        tuple(_nic(n) for n in message.nics),
        tuple(_gpu(g) for g in message.gpus),
        message.memory_bytes_per_s or None,
        message.pool or None,
    )


def _gpu(message: agent_pb2.GpuInventory) -> Gpu:
    numa = message.numa_node if message.HasField("numa_node") else None
    return Gpu(message.index, numa, message.pcie_switch or None)


def _nic(message: fabric_pb2.Nic) -> Nic:
    return Nic(
        name=message.name,
        kind=word(NicKind, message.kind, NicKind.COMPUTE),
        link_layer=word(LinkLayer, message.link_layer, LinkLayer.ETHERNET),
        rate_bps=message.rate_bps,
        pci=message.pci or None,
        guid=message.guid or None,
        numa_node=message.numa_node if message.HasField("numa_node") else None,
        pcie_switch=message.pcie_switch or None,
        gpu=message.gpu if message.HasField("gpu") else None,
        rail=message.rail if message.HasField("rail") else None,
        members=tuple(message.members),
        subnet=message.subnet,
    )


def inventories_message(nodes: tuple[NodeInventory, ...]) -> fabric_pb2.GetInventoryResponse:
    return fabric_pb2.GetInventoryResponse(
        nodes=[fabric_pb2.NodeInventory(node=n.node, inventory=inventory_message(n)) for n in nodes]
    )


def inventories(message: fabric_pb2.GetInventoryResponse) -> tuple[NodeInventory, ...]:
    return tuple(inventory(n.node, n.inventory) for n in message.nodes)
