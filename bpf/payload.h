/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "parse.h"

/* Types of PDUs that connections carry, C706 12.6.1 and MS-RPCE 2.2.2.1. */
#define PDU_TYPES (1u << 0 | 1u << 2 | 1u << 3 | 0x3ffu << 11)

/*
 * A byte of the common header of DCE/RPC (C706 12.6.3.1) that cannot be. Reserved
 * bits and bytes must be 0, though the specification leaves them open: bytes of
 * chance must not pass.
 */
static __always_inline int implausible(int i, __u8 c)
{
	switch (i) {
	case 1:
		return c > 1; /* minor version */
	case 2:
		return c > 20 || !(PDU_TYPES >> c & 1);
	case 4:
		return c & 0xee; /* character set and byte order */
	case 5:
		return c > 3; /* floating point */
	case 6:
	case 7:
		return c != 0;
	}
	return 0;
}

/* A segment whose first byte is a 5: may it begin a PDU of DCE/RPC? */
static __always_inline int begins_rpc(const struct view *v, struct packet *p, __u64 len)
{
	const __u8 *b = bytes(v, p->at, 16);
	__u64 frag, auth;

	if (!b && len >= 16)
		return VERDICT_MALFORMED;
	if (!b || len < 16) { /* too few bytes to tell are enough */
#pragma unroll
		for (int i = 1; i < 8; i++) {
			if (i >= len)
				return VERDICT_BEGINS;
			b = bytes(v, p->at + i, 1);
			if (!b)
				return VERDICT_MALFORMED;
			if (implausible(i, *b))
				return VERDICT_BULK;
		}
		return VERDICT_BEGINS;
	}
	if (implausible(1, b[1]) || implausible(2, b[2]) || implausible(4, b[4]) || implausible(5, b[5]) ||
	    b[6] != 0 || b[7] != 0)
		return VERDICT_BULK;
	if (b[4] & 0x10) {
		frag = le16(*(const __u16 *)(b + 8));
		auth = le16(*(const __u16 *)(b + 10));
	} else {
		frag = be16(*(const __u16 *)(b + 8));
		auth = be16(*(const __u16 *)(b + 10));
	}
	if (auth)
		auth += 8; /* security trailer */
	return frag < 16 + auth ? VERDICT_BULK : VERDICT_BEGINS;
}

/*
 * A segment of the session service (RFC 1002 4.3) of which the first byte fits:
 * may it begin SMB? What goes on behind the header is left to user space, but for
 * session messages, whose first byte is the most frequent there is.
 */
static __always_inline int begins_smb(const struct view *v, struct packet *p, __u64 len, __u8 first)
{
	const __u8 *b;

	if (first == 0) { /* a message: a signature follows the length */
#pragma unroll
		for (int i = 4; i < 8; i++) {
			if (i >= len)
				return VERDICT_BEGINS;
			b = bytes(v, p->at + i, 1);
			if (!b)
				return VERDICT_MALFORMED;
			const __u8 c = *b;
			if ((i == 4 && c < 0xfc) || (i == 5 && c != 'S') || (i == 6 && c != 'M') || (i == 7 && c != 'B'))
				return VERDICT_BULK;
		}
		return VERDICT_BEGINS;
	}
	/* Session request to keep-alive: lengths, of which the first two bytes are 0 or nearly. */
	if (first < 0x81 || first > 0x85)
		return VERDICT_BULK;
	if (len > 1) {
		b = bytes(v, p->at + 1, 1);
		if (!b)
			return VERDICT_MALFORMED;
		if (*b > 1)
			return VERDICT_BULK;
	}
	if (len > 2 && first != 0x81) {
		b = bytes(v, p->at + 2, 1);
		if (!b)
			return VERDICT_MALFORMED;
		if (*b != 0)
			return VERDICT_BULK;
	}
	if (len > 4 && first == 0x81) { /* a label of 32 letters, RFC 1001 14.1 */
		b = bytes(v, p->at + 4, 1);
		if (!b)
			return VERDICT_MALFORMED;
		if (*b != 32)
			return VERDICT_BULK;
	}
	return VERDICT_BEGINS;
}

/* RPC over HTTP: the banner of either side, or the method of a request, MS-RPCH 2.1. */
static __always_inline int begins_http(const struct view *v, struct packet *p, __u64 len, __u8 first)
{
#pragma unroll
	for (int i = 1; i < 4; i++) {
		if (i >= len)
			break;
		const __u8 *b = bytes(v, p->at + i, 1);
		if (!b)
			return VERDICT_MALFORMED;
		if (*b != (first == 'R' ? "RPC_"[i] : "ncac"[i]))
			return VERDICT_BULK;
	}
	return VERDICT_BEGINS;
}

/* A segment with payload: may it begin a stream of interest? */
static __always_inline int begins(const struct view *v, struct packet *p, __u64 len)
{
	const __u8 *b = bytes(v, p->at, 1);
	if (!b)
		return VERDICT_MALFORMED;
	const __u8 first = *b;

	if (first == 5)
		return begins_rpc(v, p, len);
	if ((first & 0x78) == 0)
		return begins_smb(v, p, len, first);
	if (first == 'R' || first == 'n')
		return begins_http(v, p, len, first);
	return VERDICT_BULK;
}

/*
 * A datagram: is it plausibly connectionless DCE/RPC, C706 12.5? Its header is
 * whole, reserved bits are 0, and it is as long as it says.
 */
static __always_inline int datagram(const struct view *v, struct packet *p, __u64 len)
{
	if (len < 80)
		return VERDICT_BULK;
	const __u8 *b = bytes(v, p->at, 1);
	if (!b)
		return VERDICT_MALFORMED;
	if (b[0] != 4)
		return VERDICT_BULK;
	b = bytes(v, p->at, 80);
	if (!b)
		return VERDICT_MALFORMED;
	if (b[1] > 10 || b[2] & 0x80 || b[3] & 0xf8 || b[4] & 0xee || b[5] > 3 || b[6] != 0)
		return VERDICT_BULK;
	const __u16 raw = *(const __u16 *)(b + 74);
	const __u64 body = 80 + (b[4] & 0x10 ? le16(raw) : be16(raw));
	if (body > len)
		return VERDICT_DATAGRAM; /* its end was not captured */
	if (b[78] == 0 ? body != len : len - body < 2)
		return VERDICT_BULK;
	return VERDICT_DATAGRAM;
}
