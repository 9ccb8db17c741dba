//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow filter: which frames user space must see. One judgement, in decide.h,
 * for three hooks: a socket filter, XDP, and TCX at ingress and at egress.
 *
 * It lets pass all that the decoder wants and may let pass more, never less:
 * the decoder looks again at all it is given.
 */
#include "headers/bpf.h"
#include "verdict.h"
#include "maps.h"
#include "view.h"
#include "parse.h"
#include "payload.h"
#include "decide.h"
#include "deliver.h"

char __license[] SEC("license") = "Dual BSD/GPL";

/* What is looked at first of a frame that must be copied: headers and first bytes of nearly all. */
#define FIRST_LOOK 96

/* And of the rest: what lies further in is for user space. */
#define MOST (WINDOW - 14)

/* What the verdict of a socket filter is to pass a frame whole. */
#define WHOLE 0xffffffff

static __always_inline int look(struct __sk_buff *skb, struct cpu *cpu, __u64 n)
{
	asm volatile("" : "+r"(n));
	if (n == 0 || n > WINDOW)
		return 0;
	if (!bpf_skb_load_bytes_relative(skb, 0, cpu->window, n, BPF_HDR_START_MAC))
		return 1;
	/* That helper stops where the skb goes on in pages. */
	n -= link_hidden;
	asm volatile("" : "+r"(n));
	if (n == 0 || n > WINDOW - 14)
		return 0;
	return !bpf_skb_load_bytes(skb, 0, cpu->window + (link_hidden ? 14 : 0), n);
}

/* For AF_PACKET sockets: passes a frame whole or not at all. */
SEC("socket")
int flow_socket(struct __sk_buff *skb)
{
	struct cpu *cpu = this_cpu();
	if (!cpu)
		return WHOLE;
	const __u64 len = (__u64)skb->len + link_hidden;
	struct view v = {.cpu = cpu, .window = cpu->window, .len = len};
	int verdict = VERDICT_MALFORMED;

	v.have = len < FIRST_LOOK ? len : FIRST_LOOK;
	if (look(skb, cpu, v.have))
		verdict = judge(&v);
	if (verdict == VERDICT_MALFORMED && len > FIRST_LOOK) {
		struct view more = {.cpu = cpu, .window = cpu->window};
		more.have = forget(&v, len < MOST ? len : MOST);
		more.len = forget(&v, len);
		if (look(skb, cpu, more.have))
			verdict = walk(&more, the_tables());
	}
	count(cpu, verdict, len);
	return verdict >= VERDICT_PASS ? WHOLE : 0;
}

/*
 * For devices: hands over what is wanted, and xdp_action says what becomes of all.
 * Without a ring, what is wanted passes.
 */
SEC("xdp")
int flow_xdp(struct xdp_md *xdp)
{
	struct cpu *cpu = this_cpu();
	if (!cpu)
		return xdp_action;
	struct view v = {
		.cpu = cpu,
		.data = (const void *)(long)xdp->data,
		.end = (const void *)(long)xdp->data_end,
	};
	v.have = v.end - v.data;
	v.len = xdp_fragments ? bpf_xdp_get_buff_len(xdp) : v.have;

	int verdict = judge(&v);
	if (hand_over && verdict >= VERDICT_PASS) {
		__u32 n = v.len < snap ? v.len : snap;
		if (!xdp_fragments && n > LARGEST_COPY)
			n = LARGEST_COPY;
		n = forget(&v, n);
		verdict = forget(&v, verdict);
#define DELIVER(size) deliver_xdp(xdp, verdict, v.len, n, size)
		if (xdp_fragments)
			verdict = WITH_SIZE(n, DELIVER);
		else
			verdict = n <= 256 ? DELIVER(256) : DELIVER(LARGEST_COPY);
#undef DELIVER
	}
	count(cpu, verdict, v.len);
	return !hand_over && verdict >= VERDICT_PASS ? XDP_PASS : xdp_action;
}

/* For a host's own devices, both directions: hands over what is wanted, lets all pass. */
SEC("tc")
int flow_tcx(struct __sk_buff *skb)
{
	struct cpu *cpu = this_cpu();
	if (!cpu)
		return TCX_NEXT;
	const __u32 len = skb->len;
	struct view v = {
		.cpu = cpu,
		.data = (const void *)(long)skb->data,
		.end = (const void *)(long)skb->data_end,
		.len = len,
	};
	v.have = v.end - v.data;
	int verdict = judge(&v);

	if (verdict == VERDICT_MALFORMED && v.have < len && !bpf_skb_pull_data(skb, len < WINDOW ? len : WINDOW)) {
		const struct view more = {
			.cpu = cpu,
			.data = (const void *)(long)skb->data,
			.end = (const void *)(long)skb->data_end,
			.len = forget(&v, len),
		};
		verdict = walk(&more, the_tables());
	}
	if (hand_over && verdict >= VERDICT_PASS) {
		const __u32 tag = skb->vlan_present ? skb->vlan_proto << 16 | (skb->vlan_tci & 0xffff) : 0;
		const __u32 length = len + (tag ? 4 : 0);
		const __u32 n = forget(&v, length < snap ? length : snap);
		verdict = forget(&v, verdict);
#define DELIVER(size) deliver_skb(skb, verdict, tag, length, n, size)
		verdict = WITH_SIZE(n, DELIVER);
#undef DELIVER
	}
	count(cpu, verdict, len);
	return TCX_NEXT;
}
