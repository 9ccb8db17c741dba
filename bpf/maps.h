/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "headers/bpf.h"
#include "verdict.h"

/* Set before loading. */
volatile const __u64 seed = 0;		/* of the hash of flows */
volatile const __u8 raw_ip = 0;		/* frames begin with the IP header */
volatile const __u32 link_hidden = 0;	/* bytes before skb->data: 0 on a socket, 14 in BPF_PROG_TEST_RUN */
volatile const __u32 snap = 1536;	/* bytes of a frame that are handed over */
volatile const __u8 xdp_fragments = 0;	/* the kernel has XDP frames in several buffers, since 5.18 */
volatile const __u8 hand_over = 0;	/* what is wanted goes into the ring */
volatile const __u32 xdp_action = XDP_PASS; /* of frames: pass beside a host, drop on a mirror port */

#define HINT_BITS 17
#define SHAKE_BITS 15

/*
 * What nearly every frame is held against: one value of one array, so that one
 * inlined lookup finds all of it.
 */
struct tables {
	/* Bitmaps of the ports of interest, of TCP and of UDP; by port number. */
	__u64 ports[2][1 << 16 >> 6];
	/*
	 * A counter of four bits for each hash of flows: not 0 where the map of
	 * flows may have one, so that the map is asked for few others. Grows by
	 * atomic addition, as 5.10 has no atomic or; user space clears what is stale.
	 */
	__u64 hints[1 << HINT_BITS >> 4];
	/* Not 0 where a handshake's flow has not said its first byte since. */
	__u8 fresh[1 << SHAKE_BITS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct tables);
} tables SEC(".maps");

/* A flow, the lower end first, compared as native integers. */
struct flow_key {
	__u64 lo_addr[2];
	__u64 hi_addr[2];
	__be16 lo_port;
	__be16 hi_port;
	__u32 proto;
};

enum action { WATCH = 1, IGNORE = 2 };

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct flow_key);
	__type(value, __u32);
} flows SEC(".maps");

/* The last handshake of a place that a flow's hash decides. */
struct shake {
	__u64 hash;
	__u32 seq[2]; /* of SYN and of SYN-ACK, host byte order */
	__be32 client; /* end of its address */
	__be16 port;
	__u8 state; /* 1 SYN seen, 2 SYN-ACK too */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1 << SHAKE_BITS);
	__type(key, __u32);
	__type(value, struct shake);
} shakes SEC(".maps");

/* The most that is copied of a frame to look into it. */
#define WINDOW 512

struct cpu {
	struct {
		__u64 frames, bytes;
	} verdicts[VERDICTS];
	__u64 forgotten; /* see forget */
	__u8 window[WINDOW];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cpu);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

static __always_inline struct cpu *this_cpu(void)
{
	const __u32 zero = 0;
	return bpf_map_lookup_elem(&cpus, &zero);
}

static __always_inline void count(struct cpu *cpu, __u64 verdict, __u64 bytes)
{
	asm volatile("" : "+r"(verdict)); /* what is checked is what is used */
	if (verdict < VERDICTS) {
		cpu->verdicts[verdict].frames++;
		cpu->verdicts[verdict].bytes += bytes;
	}
}
