/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "maps.h"

/*
 * A frame on its way to user space; Go's ring reader knows the layout. The bytes
 * of the frame follow.
 */
struct record {
	__u64 time;	/* nanoseconds of the monotonic clock */
	__u32 length;	/* of the frame on the wire */
	__u32 captured; /* bytes that follow; the record may be longer */
	__u32 ifindex;
	__u32 verdict;
};

/*
 * The verifier must know the size of each record, so they come in few. The
 * largest holds what segmentation offload makes of a stream.
 */
#define WITH_SIZE(n, deliver)                                              \
	((n) <= 128	? deliver(128)                                     \
	 : (n) <= 256	? deliver(256)                                     \
	 : (n) <= 512	? deliver(512)                                     \
	 : (n) <= 1024	? deliver(1024)                                    \
	 : (n) <= 1536	? deliver(1536)                                    \
	 : (n) <= 9216	? deliver(9216)                                    \
			: deliver(65536))

/* What one packet of XDP without fragments is copied of. */
#define LARGEST_COPY 1536

static __always_inline struct record *reserve(const __u64 size, __u32 verdict, __u32 ifindex, __u32 length, __u32 captured)
{
	struct record *r = bpf_ringbuf_reserve(&ring, sizeof(*r) + size, 0);
	if (!r)
		return 0;
	r->time = bpf_ktime_get_ns();
	r->length = length;
	r->captured = captured;
	r->ifindex = ifindex;
	r->verdict = verdict;
	return r;
}

/* Copies a packet, or size bytes of it: eights of eight, eights, ones. */
static __always_inline void copy(void *to, const void *data, const void *end, const __u32 size)
{
	__u32 i = 0;

	for (; i + 64 <= size; i += 64) {
		if (data + i + 64 > end)
			break;
#pragma unroll
		for (int j = 0; j < 64; j += 8)
			*(__u64 *)(to + i + j) = *(const __u64 *)(data + i + j);
	}
	for (; i + 8 <= size; i += 8) {
		if (data + i + 8 > end)
			break;
		*(__u64 *)(to + i) = *(const __u64 *)(data + i);
	}
	for (; i < size; i++) {
		if (data + i + 1 > end)
			break;
		*(__u8 *)(to + i) = *(const __u8 *)(data + i);
	}
}

/* Hands a frame of XDP over; VERDICT_LOST where there is no room. */
static __always_inline int deliver_xdp(struct xdp_md *xdp, __u32 verdict, __u32 length, __u32 captured, const __u32 size)
{
	struct record *r = reserve(size, verdict, xdp->ingress_ifindex, length, captured);
	if (!r)
		return VERDICT_LOST;
	if (xdp_fragments) {
		__u64 n = captured;
		asm volatile("" : "+r"(n));
		if (n > 0 && n <= size)
			bpf_xdp_load_bytes(xdp, 0, r + 1, n);
	} else {
		copy(r + 1, (const void *)(long)xdp->data, (const void *)(long)xdp->data_end, size);
	}
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
	return verdict;
}

/*
 * Hands a frame over that the stack has, with the tag that it took off put back.
 * tag has its type in network byte order above its contents; 0 none. length and
 * captured count it.
 */
static __always_inline int deliver_skb(struct __sk_buff *skb, __u32 verdict, __u32 tag, __u32 length, __u32 captured, const __u32 size)
{
	struct record *r = reserve(size, verdict, skb->ifindex, length, captured);
	if (!r)
		return VERDICT_LOST;
	__u8 *to = (__u8 *)(r + 1);
	__u64 n = captured;

	if (tag && n > 16) {
		bpf_skb_load_bytes(skb, 0, to, 12);
		*(__be16 *)(to + 12) = tag >> 16;
		*(__be16 *)(to + 14) = be16(tag & 0xffff);
		to += 16;
		n -= 16;
		asm volatile("" : "+r"(n));
		if (n > 0 && n <= size - 16)
			bpf_skb_load_bytes(skb, 12, to, n);
	} else {
		asm volatile("" : "+r"(n));
		if (n > 0 && n <= size)
			bpf_skb_load_bytes(skb, 0, to, n);
	}
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
	return verdict;
}
