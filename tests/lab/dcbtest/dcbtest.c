// SPDX-License-Identifier: GPL-2.0-only
/*
 * A network device that speaks DCB and misbehaves on request: `ip link add NAME type dcbtest`.
 *
 * It holds what it is told through dcbnl (ETS, PFC, APP, MAXRATE, BUFFER, DCBX) and behaves as mlx5 does where
 * drivers differ: the shares of its ETS classes sum to 100, a change of the PFC set takes the link down for a
 * while, the first DSCP entry turns trust to DSCP and the last one that goes turns it back. What it sends to the
 * device it is wired to it counts by priority.
 *
 * /sys/class/net/NAME/dcbtest/
 *   counts   calls of each operation, link flaps, changes of trust; write anything to begin anew
 *   behave   one order a write, see orders[] below: "busy setets 2" answers EBUSY to the next two
 *   wire     name of the device in this network namespace at the other end of the cable
 *
 * /sys/class/net/NAME/ecn/ is as the vendor's driver of mlx5 has it.
 *
 * For tests alone: there is no hardware here.
 */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/platform_device.h>
#include <linux/rtnetlink.h>
#include <linux/version.h>
#include <net/dcbnl.h>
#include <net/dsfield.h>
#include <net/rtnetlink.h>

#define PRIORITIES IEEE_8021QAZ_MAX_TCS
#define DSCPS 64
#define LINE 64
#define DEFAULT_FLAP_MS 30
#define PEER_MS 20
#define COARSE_KBPS 100000ULL
#define ECN_DIRECTORIES 5 /* ecn, roce_np, roce_rp and their enable */
#define ETHTOOL_ROWS (2 * PRIORITIES)

enum op { SETETS, SETPFC, SETAPP, DELAPP, SETMAXRATE, SETBUFFER, SETDCBX, OPS };
static const char *const op_names[OPS] = {
	"setets", "setpfc", "setapp", "delapp", "setmaxrate", "setbuffer", "setdcbx",
};

enum manner { GOOD, REFUSE, BUSY, HALF, IGNORE, VANISH, DENY };
/* What is written to behave. "good OP" ends a manner; without a count it holds until then. */
static const char *const orders[] = { "good", "refuse", "busy", "half", "ignore", "vanish", "deny" };

struct port {
	struct net_device *dev;
	struct net_device __rcu *wire;
	struct ieee_ets ets, peer_ets;
	struct ieee_pfc pfc, peer_pfc;
	struct ieee_maxrate maxrate;
	struct dcbnl_buffer buffer;
	u8 dcbx;
	bool trust_dscp, firmware, willing, lies, coarse, one_priority, never_up;
	u8 dscps[DSCPS]; /* entries held for each DSCP */
	u8 dscp_priority[DSCPS];
	unsigned int entries;
	enum manner manner[OPS];
	int left[OPS]; /* calls the manner holds for; negative: all */
	atomic_t counts[OPS];
	atomic_t flaps, trusts;
	unsigned int flap_ms;
	struct delayed_work up, peer, vanish;
	struct platform_device *hardware;
	struct kobject *ecn[ECN_DIRECTORIES];
	u8 notify[PRIORITIES], react[PRIORITIES], cnp_dscp, cnp_priority;
	bool mlx5;
	u64 sent[PRIORITIES], frames[PRIORITIES];
};

static struct port *port_of(struct net_device *dev)
{
	return netdev_priv(dev);
}

static void tell(struct net_device *dev)
{
	dcbnl_ieee_notify(dev, RTM_SETDCB, DCB_CMD_IEEE_SET, 0, 0);
}

/* Work that takes the rtnl lock, under which a device goes: it holds its device until it has ended. */
static void later(struct port *p, struct delayed_work *work, unsigned int ms)
{
	if (!mod_delayed_work(system_wq, work, msecs_to_jiffies(ms)))
		dev_hold(p->dev);
}

static void never(struct port *p, struct delayed_work *work)
{
	if (cancel_delayed_work(work))
		dev_put(p->dev);
}

/* How to take this call; counted whatever comes of it. */
static enum manner called(struct port *p, enum op op)
{
	enum manner m = p->manner[op];

	atomic_inc(&p->counts[op]);
	if (m == GOOD)
		return GOOD;
	if (p->left[op] > 0 && --p->left[op] == 0)
		p->manner[op] = GOOD;
	if (m == VANISH)
		later(p, &p->vanish, 0);
	return m;
}

static int answer(enum manner m)
{
	switch (m) {
	case REFUSE:
	case HALF:
		return -EINVAL;
	case BUSY:
		return -EBUSY;
	case DENY:
		return -EPERM;
	default:
		return 0;
	}
}

static bool carried_out(enum manner m)
{
	return m == GOOD || m == VANISH;
}

/* A firmware agent that owns DCBX lets nobody else set anything (as ice does). */
static bool locked(const struct port *p)
{
	return p->dcbx & DCB_CAP_DCBX_LLD_MANAGED;
}

static void flap(struct port *p)
{
	atomic_inc(&p->flaps);
	netif_carrier_off(p->dev);
	if (!p->never_up)
		mod_delayed_work(system_wq, &p->up, msecs_to_jiffies(p->flap_ms));
}

static void come_up(struct work_struct *work)
{
	netif_carrier_on(container_of(work, struct port, up.work)->dev);
}

static void vanish(struct work_struct *work)
{
	struct port *p = container_of(work, struct port, vanish.work);

	rtnl_lock();
	if (p->dev->reg_state == NETREG_REGISTERED)
		unregister_netdevice(p->dev);
	dev_put(p->dev);
	rtnl_unlock();
}

/* The other end of the link has its own idea, and a willing device takes it. */
static void overwrite(struct work_struct *work)
{
	struct port *p = container_of(work, struct port, peer.work);
	u8 willing;

	rtnl_lock();
	willing = p->ets.willing;
	if (willing && p->dev->reg_state == NETREG_REGISTERED) {
		p->ets = p->peer_ets;
		p->ets.willing = willing;
		p->pfc.pfc_en = p->peer_pfc.pfc_en;
		tell(p->dev);
	}
	dev_put(p->dev);
	rtnl_unlock();
}

static int get_ets(struct net_device *dev, struct ieee_ets *ets)
{
	struct port *p = port_of(dev);

	*ets = p->ets;
	if (p->lies)
		ets->prio_tc[PRIORITIES - 1] = (ets->prio_tc[PRIORITIES - 1] + 1) % PRIORITIES;
	return 0;
}

static bool possible(const struct ieee_ets *ets)
{
	unsigned int i, sum = 0;
	bool any = false;

	for (i = 0; i < PRIORITIES; i++) {
		if (ets->prio_tc[i] >= PRIORITIES || ets->tc_tsa[i] == IEEE_8021QAZ_TSA_CB_SHAPER)
			return false;
		if (ets->tc_tsa[i] != IEEE_8021QAZ_TSA_ETS)
			continue;
		any = true;
		sum += ets->tc_tx_bw[i];
	}
	return !any || sum == 100;
}

static int set_ets(struct net_device *dev, struct ieee_ets *ets)
{
	struct port *p = port_of(dev);
	enum manner m = called(p, SETETS);
	u8 cap = p->ets.ets_cap;

	if (locked(p) || !possible(ets))
		return -EINVAL;
	if (m == HALF)
		memcpy(p->ets.prio_tc, ets->prio_tc, PRIORITIES / 2);
	if (carried_out(m)) {
		p->ets = *ets;
		p->ets.ets_cap = cap;
		if (p->willing)
			later(p, &p->peer, PEER_MS);
	}
	return answer(m);
}

static int get_pfc(struct net_device *dev, struct ieee_pfc *pfc)
{
	*pfc = port_of(dev)->pfc;
	return 0;
}

static int set_pfc(struct net_device *dev, struct ieee_pfc *pfc)
{
	struct port *p = port_of(dev);
	enum manner m = called(p, SETPFC);
	u8 before = p->pfc.pfc_en;

	if (locked(p))
		return -EINVAL;
	if (carried_out(m)) {
		p->pfc.pfc_en = pfc->pfc_en;
		p->pfc.mbc = pfc->mbc;
		if (!p->mlx5 || (pfc->delay && pfc->delay < 1000))
			p->pfc.delay = pfc->delay;
	} else if (m == HALF) {
		p->pfc.pfc_en = (pfc->pfc_en & 0x0f) | (before & 0xf0);
	}
	if (p->pfc.pfc_en != before)
		flap(p);
	return answer(m);
}

static void trust(struct port *p, bool dscp)
{
	if (p->trust_dscp != dscp)
		atomic_inc(&p->trusts);
	p->trust_dscp = dscp;
}

static bool fit(const struct dcb_app *app)
{
	return app->selector == IEEE_8021QAZ_APP_SEL_DSCP && app->protocol < DSCPS &&
	       app->priority < PRIORITIES;
}

static int take_app(struct port *p, struct dcb_app *app)
{
	struct dcb_app old = *app;
	int err = dcb_ieee_setapp(p->dev, app);

	if (err)
		return err;
	old.priority = p->dscp_priority[app->protocol];
	if (p->one_priority && p->dscps[app->protocol] && old.priority != app->priority &&
	    !dcb_ieee_delapp(p->dev, &old)) {
		p->dscps[app->protocol]--;
		p->entries--;
	}
	p->dscps[app->protocol]++;
	p->dscp_priority[app->protocol] = app->priority;
	p->entries++;
	trust(p, true);
	return 0;
}

static int drop_app(struct port *p, struct dcb_app *app)
{
	int err = dcb_ieee_delapp(p->dev, app);

	if (err)
		return err;
	p->dscps[app->protocol]--;
	if (--p->entries == 0)
		trust(p, false);
	return 0;
}

static int set_app(struct net_device *dev, struct dcb_app *app)
{
	struct port *p = port_of(dev);
	enum manner m = called(p, SETAPP);

	if (locked(p) || !fit(app))
		return -EINVAL;
	return carried_out(m) ? take_app(p, app) : answer(m);
}

static int del_app(struct net_device *dev, struct dcb_app *app)
{
	struct port *p = port_of(dev);
	enum manner m = called(p, DELAPP);

	if (locked(p) || !fit(app))
		return -EINVAL;
	return carried_out(m) ? drop_app(p, app) : answer(m);
}

static int get_maxrate(struct net_device *dev, struct ieee_maxrate *rate)
{
	*rate = port_of(dev)->maxrate;
	return 0;
}

static int set_maxrate(struct net_device *dev, struct ieee_maxrate *rate)
{
	struct port *p = port_of(dev);
	enum manner m = called(p, SETMAXRATE);
	int i;

	if (locked(p))
		return -EINVAL;
	for (i = 0; i < PRIORITIES && m != IGNORE && m != REFUSE && m != BUSY && m != DENY; i++) {
		if (m == HALF && i >= PRIORITIES / 2)
			break;
		p->maxrate.tc_maxrate[i] = rate->tc_maxrate[i];
		if (p->coarse)
			p->maxrate.tc_maxrate[i] -= rate->tc_maxrate[i] % COARSE_KBPS;
	}
	return answer(m);
}

static int get_buffer(struct net_device *dev, struct dcbnl_buffer *buffer)
{
	*buffer = port_of(dev)->buffer;
	return 0;
}

static int set_buffer(struct net_device *dev, struct dcbnl_buffer *buffer)
{
	struct port *p = port_of(dev);
	enum manner m = called(p, SETBUFFER);
	u32 sum = 0, total = p->buffer.total_size;
	int i;

	for (i = 0; i < DCBX_MAX_BUFFERS; i++)
		sum += buffer->buffer_size[i];
	if (locked(p) || sum > total)
		return -EINVAL;
	if (m == HALF)
		memcpy(p->buffer.prio2buffer, buffer->prio2buffer, PRIORITIES);
	if (carried_out(m)) {
		p->buffer = *buffer;
		p->buffer.total_size = total;
	}
	return answer(m);
}

static u8 get_dcbx(struct net_device *dev)
{
	return port_of(dev)->dcbx;
}

static u8 set_dcbx(struct net_device *dev, u8 mode)
{
	struct port *p = port_of(dev);
	enum manner m = called(p, SETDCBX);

	if (p->firmware || (mode & DCB_CAP_DCBX_LLD_MANAGED))
		return 1;
	if (carried_out(m) && mode)
		p->dcbx = mode;
	else if (carried_out(m)) /* back to the firmware */
		p->dcbx &= ~DCB_CAP_DCBX_HOST;
	return answer(m) ? 1 : 0;
}

static const struct dcbnl_rtnl_ops dcb_ops = {
	.ieee_getets = get_ets,
	.ieee_setets = set_ets,
	.ieee_getpfc = get_pfc,
	.ieee_setpfc = set_pfc,
	.ieee_setapp = set_app,
	.ieee_delapp = del_app,
	.ieee_getmaxrate = get_maxrate,
	.ieee_setmaxrate = set_maxrate,
	.dcbnl_getbuffer = get_buffer,
	.dcbnl_setbuffer = set_buffer,
	.getdcbx = get_dcbx,
	.setdcbx = set_dcbx,
};

/* Orders that stand beside those of one operation. */
static bool toggled(struct port *p, const char *word, long n)
{
	if (!strcmp(word, "flap")) /* how long the link stays down; 0 is for ever */
		p->flap_ms = n, p->never_up = !n;
	else if (!strcmp(word, "firmware")) /* 1: a firmware agent owns DCBX; 0: no more */
		p->firmware = n, p->dcbx = n ? DCB_CAP_DCBX_LLD_MANAGED | DCB_CAP_DCBX_VER_IEEE :
					       DCB_CAP_DCBX_HOST | DCB_CAP_DCBX_VER_IEEE;
	else if (!strcmp(word, "released")) /* DCBX is nobody's until a host takes it (as mlx5 starts) */
		p->dcbx = DCB_CAP_DCBX_VER_IEEE | DCB_CAP_DCBX_VER_CEE;
	else if (!strcmp(word, "willing")) /* the device is willing and the peer overwrites ETS and PFC */
		p->ets.willing = p->willing = n != 0;
	else if (!strcmp(word, "lie")) /* ETS is read back otherwise than it is held */
		p->lies = n;
	else if (!strcmp(word, "coarse")) /* rates are kept in steps of 100 Mbit/s */
		p->coarse = n;
	else if (!strcmp(word, "mlx5")) /* say that mlx5_core drives it: a DSCP holds one priority, delay is a length */
		p->mlx5 = p->one_priority = n;
	else if (!strcmp(word, "one")) /* a DSCP holds one priority, as mlx5 and most hardware do */
		p->one_priority = n;
	else
		return false;
	return true;
}

/* "steal DSCP": an entry goes and nobody is told, as a firmware would. "swap N": priority 0 moves to class N. */
static bool silent(struct port *p, const char *word, long n)
{
	struct dcb_app app = { .selector = IEEE_8021QAZ_APP_SEL_DSCP, .protocol = n };

	if (!strcmp(word, "steal") && n >= 0 && n < DSCPS) {
		app.priority = p->dscp_priority[n];
		drop_app(p, &app);
		return true;
	}
	if (!strcmp(word, "swap") && n >= 0 && n < PRIORITIES) {
		p->ets.prio_tc[0] = n;
		return true;
	}
	return false;
}

static int find(const char *const *names, int count, const char *word)
{
	int i;

	for (i = 0; i < count; i++)
		if (!strcmp(names[i], word))
			return i;
	return -1;
}

static ssize_t behave_store(struct device *d, struct device_attribute *a, const char *text, size_t size)
{
	struct port *p = port_of(to_net_dev(d));
	char word[LINE], what[LINE];
	int n = -1, op, manner, found;
	long value = 1;

	if (size >= LINE)
		return -EINVAL;
	found = sscanf(text, "%63s %63s %d", word, what, &n);
	if (found < 1 || (found == 2 && !kstrtol(what, 10, &value)))
		found = 1;
	if (!rtnl_trylock())
		return restart_syscall();
	manner = find(orders, ARRAY_SIZE(orders), word);
	op = found >= 2 ? find(op_names, OPS, what) : -1;
	if (manner >= 0 && op >= 0) {
		p->manner[op] = manner;
		p->left[op] = n;
	} else if (!toggled(p, word, value) && !silent(p, word, value)) {
		size = -EINVAL;
	}
	rtnl_unlock();
	return size;
}

static ssize_t counts_show(struct device *d, struct device_attribute *a, char *out)
{
	struct port *p = port_of(to_net_dev(d));
	int i, at = 0;

	for (i = 0; i < OPS; i++)
		at += sysfs_emit_at(out, at, "%s %d\n", op_names[i], atomic_read(&p->counts[i]));
	at += sysfs_emit_at(out, at, "flaps %d\n", atomic_read(&p->flaps));
	return at + sysfs_emit_at(out, at, "trusts %d\n", atomic_read(&p->trusts));
}

static ssize_t counts_store(struct device *d, struct device_attribute *a, const char *text, size_t size)
{
	struct port *p = port_of(to_net_dev(d));
	int i;

	for (i = 0; i < OPS; i++)
		atomic_set(&p->counts[i], 0);
	atomic_set(&p->flaps, 0);
	atomic_set(&p->trusts, 0);
	return size;
}

static ssize_t wire_store(struct device *d, struct device_attribute *a, const char *text, size_t size)
{
	struct port *p = port_of(to_net_dev(d));
	struct net_device *other;
	char name[LINE];

	if (size >= LINE || sscanf(text, "%63s", name) != 1)
		return -EINVAL;
	if (!rtnl_trylock())
		return restart_syscall();
	other = __dev_get_by_name(dev_net(p->dev), name);
	if (other && other->netdev_ops == p->dev->netdev_ops) {
		rcu_assign_pointer(p->wire, other);
		rcu_assign_pointer(port_of(other)->wire, p->dev);
	} else {
		size = -ENODEV;
	}
	rtnl_unlock();
	return size;
}

static DEVICE_ATTR_RW(counts);
static DEVICE_ATTR_WO(behave);
static DEVICE_ATTR_WO(wire);
static struct attribute *attributes[] = {
	&dev_attr_counts.attr, &dev_attr_behave.attr, &dev_attr_wire.attr, NULL,
};
static const struct attribute_group group = { .name = "dcbtest", .attrs = attributes };

static u8 priority(const struct port *p, struct sk_buff *skb)
{
	u8 dscp;

	if (skb->protocol == htons(ETH_P_IP) && skb_network_header_len(skb) >= sizeof(struct iphdr))
		dscp = ipv4_get_dsfield(ip_hdr(skb)) >> 2;
	else if (skb->protocol == htons(ETH_P_IPV6))
		dscp = ipv6_get_dsfield(ipv6_hdr(skb)) >> 2;
	else
		return 0;
	return p->dscps[dscp] ? p->dscp_priority[dscp] : 0;
}

static netdev_tx_t transmit(struct sk_buff *skb, struct net_device *dev)
{
	struct port *p = port_of(dev);
	struct net_device *other;
	u8 prio = priority(p, skb);

	p->sent[prio] += skb->len;
	p->frames[prio]++;
	rcu_read_lock();
	other = rcu_dereference(p->wire);
	if (other && netif_carrier_ok(dev) && netif_running(other) && netif_carrier_ok(other))
		dev_forward_skb(other, skb);
	else
		kfree_skb(skb);
	rcu_read_unlock();
	return NETDEV_TX_OK;
}

static void unplug(struct net_device *dev)
{
	struct port *p = port_of(dev);
	struct net_device *other = rtnl_dereference(p->wire);
	int i;

	if (other)
		RCU_INIT_POINTER(port_of(other)->wire, NULL);
	RCU_INIT_POINTER(p->wire, NULL);
	for (i = ECN_DIRECTORIES - 1; i >= 0; i--)
		kobject_put(p->ecn[i]);
	never(p, &p->peer);
	never(p, &p->vanish);
	cancel_delayed_work_sync(&p->up);
	synchronize_net();
}

static const struct net_device_ops net_ops = {
	.ndo_start_xmit = transmit,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
	.ndo_uninit = unplug,
};

static int settings(struct net_device *dev, struct ethtool_link_ksettings *out)
{
	out->base.speed = SPEED_100000;
	out->base.duplex = DUPLEX_FULL;
	return 0;
}

static void driver(struct net_device *dev, struct ethtool_drvinfo *info)
{
	strscpy(info->driver, port_of(dev)->mlx5 ? "mlx5_core" : "dcbtest", sizeof(info->driver));
}

static int rows(struct net_device *dev, int set)
{
	return set == ETH_SS_STATS ? ETHTOOL_ROWS : -EOPNOTSUPP;
}

static void names(struct net_device *dev, u32 set, u8 *out)
{
	int i;

	for (i = 0; i < PRIORITIES; i++)
		ethtool_sprintf(&out, "tx_prio%d_bytes", i);
	for (i = 0; i < PRIORITIES; i++)
		ethtool_sprintf(&out, "tx_prio%d_packets", i);
}

static void values(struct net_device *dev, struct ethtool_stats *stats, u64 *out)
{
	memcpy(out, port_of(dev)->sent, sizeof(port_of(dev)->sent));
	memcpy(out + PRIORITIES, port_of(dev)->frames, sizeof(port_of(dev)->frames));
}

static const struct ethtool_ops tool_ops = {
	.get_link = ethtool_op_get_link,
	.get_link_ksettings = settings,
	.get_drvinfo = driver,
	.get_sset_count = rows,
	.get_strings = names,
	.get_ethtool_stats = values,
};

/* As mlx5 comes up: every class ETS, shared alike but for the last, nothing lossless, DCBX the host's. */
static void begin(struct port *p)
{
	int i;

	p->flap_ms = DEFAULT_FLAP_MS;
	memset(p->notify, 1, sizeof(p->notify));
	memset(p->react, 1, sizeof(p->react));
	p->cnp_dscp = 48;
	p->cnp_priority = 6;
	p->dcbx = DCB_CAP_DCBX_HOST | DCB_CAP_DCBX_VER_IEEE;
	p->ets.ets_cap = PRIORITIES;
	p->pfc.pfc_cap = PRIORITIES;
	p->pfc.delay = 7;
	p->buffer.total_size = 512 * 1024;
	p->buffer.buffer_size[0] = 256 * 1024;
	for (i = 0; i < PRIORITIES; i++) {
		p->ets.tc_tsa[i] = IEEE_8021QAZ_TSA_ETS;
		p->ets.tc_tx_bw[i] = i == PRIORITIES - 1 ? 16 : 12;
		p->ets.prio_tc[i] = i;
	}
	p->peer_ets = p->ets;
	for (i = 0; i < PRIORITIES; i++)
		p->peer_ets.prio_tc[i] = 0;
	p->peer_pfc.pfc_en = 0x20;
}

static void release(struct net_device *dev)
{
	struct port *p = port_of(dev);

	if (!IS_ERR_OR_NULL(p->hardware))
		platform_device_unregister(p->hardware);
	p->hardware = NULL;
}

static void setup(struct net_device *dev)
{
	struct port *p = port_of(dev);

	ether_setup(dev);
	eth_hw_addr_random(dev);
	dev->netdev_ops = &net_ops;
	dev->ethtool_ops = &tool_ops;
	dev->dcbnl_ops = &dcb_ops;
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE;
	dev->sysfs_groups[0] = &group;
	dev->needs_free_netdev = true;
	dev->priv_destructor = release;
	p->dev = dev;
	INIT_DELAYED_WORK(&p->up, come_up);
	INIT_DELAYED_WORK(&p->peer, overwrite);
	INIT_DELAYED_WORK(&p->vanish, vanish);
	begin(p);
}

/* ECN as the vendor's driver of mlx5 has it: ecn/{roce_np,roce_rp}/enable/PRIORITY, ecn/roce_np/{cnp_dscp,cnp_802p_prio}. */
static struct port *port_above(struct kobject *k, int levels)
{
	while (levels--)
		k = k->parent;
	return port_of(to_net_dev(kobj_to_dev(k)));
}

static u8 *switch_of(struct kobject *k, struct kobj_attribute *a)
{
	struct port *p = port_above(k, 3);

	return (strcmp(kobject_name(k->parent), "roce_np") ? p->react : p->notify) + (a->attr.name[0] - '0');
}

static ssize_t switch_show(struct kobject *k, struct kobj_attribute *a, char *out)
{
	return sysfs_emit(out, "%d\n", *switch_of(k, a));
}

static ssize_t switch_store(struct kobject *k, struct kobj_attribute *a, const char *text, size_t size)
{
	bool on;
	int err = kstrtobool(text, &on);

	if (!err)
		*switch_of(k, a) = on;
	return err ? err : size;
}

static u8 *mark_of(struct kobject *k, struct kobj_attribute *a)
{
	struct port *p = port_above(k, 2);

	return strcmp(a->attr.name, "cnp_dscp") ? &p->cnp_priority : &p->cnp_dscp;
}

static ssize_t mark_show(struct kobject *k, struct kobj_attribute *a, char *out)
{
	return sysfs_emit(out, "%d\n", *mark_of(k, a));
}

static ssize_t mark_store(struct kobject *k, struct kobj_attribute *a, const char *text, size_t size)
{
	u8 value;
	int err = kstrtou8(text, 10, &value);

	if (!err && value >= (strcmp(a->attr.name, "cnp_dscp") ? PRIORITIES : DSCPS))
		err = -EINVAL;
	if (!err)
		*mark_of(k, a) = value;
	return err ? err : size;
}

#define SWITCH(n) { .attr = { .name = #n, .mode = 0644 }, .show = switch_show, .store = switch_store }
static struct kobj_attribute switches[PRIORITIES] = {
	SWITCH(0), SWITCH(1), SWITCH(2), SWITCH(3), SWITCH(4), SWITCH(5), SWITCH(6), SWITCH(7),
};
static struct kobj_attribute marks[] = {
	{ .attr = { .name = "cnp_dscp", .mode = 0644 }, .show = mark_show, .store = mark_store },
	{ .attr = { .name = "cnp_802p_prio", .mode = 0644 }, .show = mark_show, .store = mark_store },
};

static int show_ecn(struct port *p)
{
	static const char *const names[ECN_DIRECTORIES] = { "ecn", "roce_np", "roce_rp", "enable", "enable" };
	static const int above[ECN_DIRECTORIES] = { -1, 0, 0, 1, 2 };
	int i, n, err = 0;

	for (i = 0; i < ECN_DIRECTORIES; i++) {
		p->ecn[i] = kobject_create_and_add(names[i], i ? p->ecn[above[i]] : &p->dev->dev.kobj);
		if (!p->ecn[i])
			return -ENOMEM;
	}
	for (i = 3; i < ECN_DIRECTORIES; i++)
		for (n = 0; n < PRIORITIES && !err; n++)
			err = sysfs_create_file(p->ecn[i], &switches[n].attr);
	for (n = 0; n < ARRAY_SIZE(marks) && !err; n++)
		err = sysfs_create_file(p->ecn[1], &marks[n].attr);
	return err;
}

/* What the device stands on: it stays where it is when the device moves to another network namespace. */
static struct platform_driver hardware_driver = { .driver = { .name = "dcbtest" } };

static int new_link(struct net *net, struct net_device *dev, struct nlattr *tb[], struct nlattr *data[],
		    struct netlink_ext_ack *ack)
{
	struct port *p = port_of(dev);
	int err;

	p->hardware = platform_device_register_simple("dcbtest", PLATFORM_DEVID_AUTO, NULL, 0);
	if (IS_ERR(p->hardware))
		return PTR_ERR(p->hardware);
	SET_NETDEV_DEV(dev, &p->hardware->dev);
	err = register_netdevice(dev);
	if (err)
		release(dev);
	else if (show_ecn(p))
		netdev_warn(dev, "no ECN files\n");
	return err;
}

static struct rtnl_link_ops link_ops = {
	.kind = "dcbtest",
	.priv_size = sizeof(struct port),
	.setup = setup,
	.newlink = new_link,
};

static int __init start(void)
{
	int err = platform_driver_register(&hardware_driver);

	if (err)
		return err;
	err = rtnl_link_register(&link_ops);
	if (err)
		platform_driver_unregister(&hardware_driver);
	return err;
}

static void __exit stop(void)
{
	rtnl_link_unregister(&link_ops);
	platform_driver_unregister(&hardware_driver);
}

module_init(start);
module_exit(stop);
MODULE_ALIAS_RTNL_LINK("dcbtest");
MODULE_DESCRIPTION("A DCB device for tests, without hardware");
MODULE_LICENSE("GPL");
