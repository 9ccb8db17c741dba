/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "maps.h"

/*
 * The bytes of a frame that can be read: those of the packet itself, or, for a
 * program that may not touch it, a copy of its beginning.
 */
struct view {
	const void *data, *end; /* valid iff window is 0 */
	const __u8 *window;
	struct cpu *cpu;
	__u64 have; /* bytes readable */
	__u64 len;  /* bytes of the frame; more than have where it lies in pieces */
};

/*
 * Nothing that is looked at lies further in than this. The bound is set anew at
 * each access, for the verifier of 5.10 forgets it whenever a register is spilled.
 */
#define REACH 0xfff

static __always_inline const void *bytes(const struct view *v, __u64 at, const __u64 n)
{
	if (v->window) {
		if (at + n > v->have)
			return 0;
		asm volatile("" : "+r"(at));
		if (at > WINDOW - n)
			return 0;
		return v->window + at;
	}
	asm volatile("%0 &= 0xfff" : "+r"(at));
	const void *p = v->data + at;
	if (p + n > v->end)
		return 0;
	return p;
}

/*
 * Gives x back as a number of which the verifier knows nothing. It follows each
 * value that an offset may have on its own, and there are too many of them behind
 * tags, options and extension headers; where ways meet again it must forget how
 * they came. Costs a store and a load, so the straight way does without.
 */
static __always_inline __u64 forget(const struct view *v, __u64 x)
{
	volatile __u64 *place = &v->cpu->forgotten;

	*place = x;
	return *place;
}
