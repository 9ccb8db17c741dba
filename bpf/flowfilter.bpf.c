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
#define FIRST_LOOK 128

/* What the verdict of a socket filter is to pass a frame whole. */
#define WHOLE 0xffffffff

static __always_inline int judge_copy(struct __sk_buff *skb, struct cpu *cpu, __u64 len, __u64 look)
{
	asm volatile("" : "+r"(look));
	if (look == 0 || look > WINDOW)
		return VERDICT_MALFORMED;
	if (bpf_skb_load_bytes_relative(skb, 0, cpu->window, look, BPF_HDR_START_MAC)) {
		/* That helper stops where the skb goes on in pages. */
		if (look <= link_hidden || bpf_skb_load_bytes(skb, 0, cpu->window + link_hidden, look - link_hidden))
			return VERDICT_MALFORMED;
	}
	struct view v = {.cpu = cpu, .window = cpu->window, .have = look, .len = len};
	return judge(&v);
}

/* For AF_PACKET sockets: passes a frame whole or not at all. */
SEC("socket")
int flow_socket(struct __sk_buff *skb)
{
	struct cpu *cpu = this_cpu();
	if (!cpu)
		return WHOLE;
	const __u64 len = (__u64)skb->len + link_hidden;
	int verdict = judge_copy(skb, cpu, len, len < FIRST_LOOK ? len : FIRST_LOOK);

	if (verdict == VERDICT_MALFORMED && len > FIRST_LOOK)
		verdict = judge_copy(skb, cpu, len, len < WINDOW ? len : WINDOW);
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

static __always_inline int judge_skb(struct __sk_buff *skb, struct cpu *cpu)
{
	struct view v = {
		.cpu = cpu,
		.data = (const void *)(long)skb->data,
		.end = (const void *)(long)skb->data_end,
		.len = skb->len,
	};
	v.have = v.end - v.data;
	return judge(&v);
}

/* For a host's own devices, both directions: hands over what is wanted, lets all pass. */
SEC("tc")
int flow_tcx(struct __sk_buff *skb)
{
	struct cpu *cpu = this_cpu();
	if (!cpu)
		return TCX_NEXT;
	int verdict = judge_skb(skb, cpu);
	const __u32 len = skb->len;

	if (verdict == VERDICT_MALFORMED && (__u64)skb->data_end - skb->data < len &&
	    !bpf_skb_pull_data(skb, len < WINDOW ? len : WINDOW))
		verdict = judge_skb(skb, cpu);
	const __u32 tagged = skb->vlan_present, length = len + (tagged ? 4 : 0);
	const __u32 tag = tagged ? skb->vlan_proto << 16 | (skb->vlan_tci & 0xffff) : 0;
	if (hand_over && verdict >= VERDICT_PASS) {
		const __u32 n = length < snap ? length : snap;
#define DELIVER(size) deliver_skb(skb, verdict, tag, length, n, size)
		verdict = WITH_SIZE(n, DELIVER);
#undef DELIVER
	}
	count(cpu, verdict, length);
	return TCX_NEXT;
}
