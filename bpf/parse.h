/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "view.h"

/* EtherTypes, IEEE registry, in network byte order as they are compared. */
#define TYPE_IPV4 be16(0x0800)
#define TYPE_IPV6 be16(0x86dd)
#define TYPE_VLAN be16(0x8100)
#define TYPE_QINQ be16(0x88a8)
#define TYPE_QINQ_OLD be16(0x9100)
#define TYPE_VNTAG be16(0x8926)
#define TYPE_MPLS be16(0x8847)
#define TYPE_MPLS_UP be16(0x8848)
#define TYPE_PPPOE be16(0x8864)
#define TYPE_PPP be16(0x880b)
#define TYPE_WCCP be16(0x883e)
#define TYPE_ETHERNET be16(0x6558)
#define TYPE_ERSPAN be16(0x88be)
#define TYPE_ERSPAN3 be16(0x22eb)

/* IP protocols, IANA registry. */
enum {
	PROTO_HOPBYHOP = 0,
	PROTO_IPV4 = 4,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_IPV6 = 41,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_GRE = 47,
	PROTO_AH = 51,
	PROTO_DEST = 60,
	PROTO_MOBILITY = 135,
	PROTO_HIP = 139,
	PROTO_SHIM6 = 140,
};

/* UDP ports of tunnels. */
#define PORT_VXLAN be16(4789)
#define PORT_VXLAN_LINUX be16(8472)
#define PORT_VXLAN_GPE be16(4790)
#define PORT_GENEVE be16(6081)
#define PORT_GTP be16(2152)
#define PORT_GRE be16(4754)
#define PORT_TEREDO be16(3544)

/* How many extension headers of IPv6 are followed; RFC 8200 4.1 has eight. */
#define MAX_EXTENSIONS 8

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };

/* A walk through a frame, and what it found. */
struct packet {
	__u64 at;  /* offset of what comes next; in the end, of the payload */
	__u64 end;   /* where the bytes end that the lengths so far leave, none beyond the frame */
	__u64 limit; /* where they end by the lengths alone, which a mirror that cuts frames leaves as they were */
	__be16 type; /* EtherType of what is at at; TYPE_ETHERNET an Ethernet header */

	/* Valid in the end; addresses of IPv4 as ::ffff:a.b.c.d. */
	__u64 src[2], dst[2];
	__be16 src_port, dst_port;
	__u8 proto;
	__u8 flags;    /* valid iff TCP */
	__be32 seq, ack; /* valid iff TCP */
};

/* The second half of an IPv4-mapped address, as eight bytes lie in memory. */
static __always_inline __u64 mapped(__be32 addr)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return 0xffff0000ull | (__u64)addr << 32;
#else
	return 0x0000ffff00000000ull | addr;
#endif
}

static __always_inline int is_tag(__be16 type)
{
	return type == TYPE_VLAN || type == TYPE_QINQ || type == TYPE_QINQ_OLD;
}

/* What is not IP, seen from an EtherType whose contents are at p->at. */
static __always_inline int not_ip(const struct view *v, struct packet *p, __be16 type)
{
	if (is_tag(type) || type == TYPE_VNTAG || type == TYPE_MPLS || type == TYPE_MPLS_UP || type == TYPE_PPPOE)
		return VERDICT_UNFOLLOWED;
	if (be16(type) <= 1500) { /* 802.3: LLC with SNAP may announce IP */
		if (p->at + 3 > p->end)
			return VERDICT_FOREIGN;
		const __u8 *b = bytes(v, p->at, 3);
		if (!b)
			return VERDICT_MALFORMED;
		if (b[0] == 0xaa && b[1] == 0xaa && b[2] == 3)
			return VERDICT_UNFOLLOWED;
	}
	return VERDICT_FOREIGN;
}

/* GRE, RFC 2784 and 2890, and ERSPAN in it (draft-foschiano-erspan). */
static __always_inline int gre(const struct view *v, struct packet *p)
{
	const __u8 *b = bytes(v, p->at, 4);
	if (!b || p->at + 4 > p->end)
		return VERDICT_MALFORMED;
	const __u8 flags = b[0], version = b[1] & 7;
	const __be16 type = *(const __be16 *)(b + 2);

	if (version == 1 && type == TYPE_PPP) /* PPTP */
		return VERDICT_UNFOLLOWED;
	if (version != 0 || flags & 0x40) /* source routes: receivers discard them too */
		return VERDICT_FOREIGN;
	p->at += 4;
	if (flags & 0x80)
		p->at += 4; /* checksum */
	if (flags & 0x20)
		p->at += 4; /* key */
	if (flags & 0x10)
		p->at += 4; /* sequence number */

	if (type == TYPE_ERSPAN) {
		if (flags & 0x10) { /* without one, type I: no header */
			b = bytes(v, p->at, 8);
			if (!b || p->at + 8 > p->end)
				return VERDICT_MALFORMED;
			if (b[0] >> 4 != 1)
				return VERDICT_FOREIGN;
			p->at += 8;
		}
		p->type = TYPE_ETHERNET;
		return VERDICT_INSIDE;
	}
	if (type == TYPE_ERSPAN3) {
		b = bytes(v, p->at, 12);
		if (!b || p->at + 12 > p->end)
			return VERDICT_MALFORMED;
		if (b[0] >> 4 != 2)
			return VERDICT_FOREIGN;
		if ((b[10] >> 2 & 0x1f) == 2) /* IP without its Ethernet header */
			return VERDICT_UNFOLLOWED;
		if ((b[10] >> 2 & 0x1f) != 0)
			return VERDICT_FOREIGN;
		p->at += 12;
		if (b[11] & 1)
			p->at += 8; /* platform subheader */
		p->type = TYPE_ETHERNET;
		return VERDICT_INSIDE;
	}
	if (type == TYPE_IPV4 || type == TYPE_IPV6 || type == TYPE_ETHERNET) {
		p->type = type;
		return VERDICT_INSIDE;
	}
	if (type == TYPE_PPP || type == TYPE_WCCP || type == TYPE_MPLS || type == TYPE_MPLS_UP)
		return VERDICT_UNFOLLOWED;
	return VERDICT_FOREIGN;
}

static __always_inline int is_tunnel(const struct packet *p)
{
	return p->dst_port == PORT_VXLAN || p->dst_port == PORT_VXLAN_LINUX || p->dst_port == PORT_GENEVE ||
	       p->dst_port == PORT_VXLAN_GPE || p->dst_port == PORT_GTP || p->dst_port == PORT_GRE ||
	       p->dst_port == PORT_TEREDO || p->src_port == PORT_TEREDO;
}

/*
 * The header of a tunnel in UDP, whose payload is at p->at: VXLAN (RFC 7348 5)
 * or Geneve (RFC 8926 3.4). VERDICT_BULK where it is none.
 */
static __always_inline int udp_tunnel(const struct view *v, struct packet *p)
{
	const __u8 *b;

	if (p->dst_port == PORT_VXLAN || p->dst_port == PORT_VXLAN_LINUX) {
		if (p->at + 8 > p->end)
			return VERDICT_BULK;
		b = bytes(v, p->at, 8);
		if (!b)
			return VERDICT_MALFORMED;
		if (!(b[0] & 8))
			return VERDICT_BULK;
		p->at += 8;
		p->type = TYPE_ETHERNET;
		return VERDICT_INSIDE;
	}
	if (p->dst_port == PORT_GENEVE) {
		if (p->at + 8 > p->end)
			return VERDICT_BULK;
		b = bytes(v, p->at, 8);
		if (!b)
			return VERDICT_MALFORMED;
		if (b[0] >> 6)
			return VERDICT_BULK;
		p->type = *(const __be16 *)(b + 2);
		if (p->type == TYPE_MPLS || p->type == TYPE_MPLS_UP || p->type == TYPE_PPP)
			return VERDICT_UNFOLLOWED;
		if (p->type != TYPE_IPV4 && p->type != TYPE_IPV6 && p->type != TYPE_ETHERNET)
			return VERDICT_BULK;
		p->at += 8 + (b[0] & 63) * 4;
		return VERDICT_INSIDE;
	}
	return is_tunnel(p) ? VERDICT_UNFOLLOWED : VERDICT_BULK;
}

/*
 * Walks from p->at, of type p->type, to the payload of TCP or UDP and gives
 * VERDICT_TRANSPORT; VERDICT_INSIDE at the header of GRE; else what the frame is.
 */
static __always_inline int headers(const struct view *v, struct packet *p)
{
	const __u8 *b;
	__be16 type = p->type;
	__u64 limit, n;
	__u8 proto, six = 0;

	if (type == TYPE_ETHERNET) {
		b = bytes(v, p->at, 14);
		if (!b || p->at + 14 > p->end)
			return VERDICT_MALFORMED;
		type = *(const __be16 *)(b + 12);
		p->at += 14;
		if (is_tag(type)) {
			b = bytes(v, p->at, 4);
			if (!b || p->at + 4 > p->end)
				return VERDICT_MALFORMED;
			type = *(const __be16 *)(b + 2);
			p->at += 4;
			if (is_tag(type)) {
				b = bytes(v, p->at, 4);
				if (!b || p->at + 4 > p->end)
					return VERDICT_MALFORMED;
				type = *(const __be16 *)(b + 2);
				p->at += 4;
			}
			p->at = forget(v, p->at);
			type = forget(v, type);
		}
	}
	if (type == TYPE_IPV4) {
		b = bytes(v, p->at, 20);
		if (!b || p->at + 20 > p->end || b[0] >> 4 != 4)
			return VERDICT_MALFORMED;
		const __u64 header = (b[0] & 15) * 4;
		n = be16(*(const __be16 *)(b + 2));
		if (n == 0) /* segmentation offload leaves the length to the card */
			n = p->end - p->at;
		if (header < 20 || n < header)
			return VERDICT_MALFORMED;
		if (*(const __be16 *)(b + 6) & be16(0x3fff))
			return VERDICT_FRAGMENT;
		p->src[0] = 0;
		p->src[1] = mapped(*(const __be32 *)(b + 12));
		p->dst[0] = 0;
		p->dst[1] = mapped(*(const __be32 *)(b + 16));
		proto = b[9];
		limit = p->at + n;
		p->at += header;
	} else if (type == TYPE_IPV6) {
		b = bytes(v, p->at, 40);
		if (!b || p->at + 40 > p->end || b[0] >> 4 != 6)
			return VERDICT_MALFORMED;
		n = be16(*(const __be16 *)(b + 4));
		proto = b[6];
		p->src[0] = *(const __u64 *)(b + 8);
		p->src[1] = *(const __u64 *)(b + 16);
		p->dst[0] = *(const __u64 *)(b + 24);
		p->dst[1] = *(const __u64 *)(b + 32);
		p->at += 40;
		six = 1;
		limit = p->at + n;
		if (n == 0) { /* a jumbogram (RFC 2675), or segmentation offload */
			if (proto == PROTO_HOPBYHOP)
				return VERDICT_UNFOLLOWED;
			limit = p->end;
		}
#pragma nounroll
		for (int i = 0; i <= MAX_EXTENSIONS; i++) {
			if (proto == PROTO_TCP || proto == PROTO_UDP)
				break;
			if (proto != PROTO_HOPBYHOP && proto != PROTO_ROUTING && proto != PROTO_FRAGMENT &&
			    proto != PROTO_AH && proto != PROTO_DEST && proto != PROTO_MOBILITY && proto != PROTO_HIP &&
			    proto != PROTO_SHIM6)
				break;
			if (i == MAX_EXTENSIONS || p->at > 1024)
				return VERDICT_UNFOLLOWED;
			b = bytes(v, p->at, 8);
			if (!b || p->at + 8 > limit || p->at + 8 > p->end)
				return VERDICT_MALFORMED;
			if (proto == PROTO_FRAGMENT) {
				if (*(const __be16 *)(b + 2) & be16(0xfff9))
					return VERDICT_FRAGMENT;
				p->at += 8; /* atomic, RFC 6946: a whole datagram */
			} else if (proto == PROTO_AH) {
				p->at += (b[1] + 2) * 4;
			} else {
				p->at += (b[1] + 1) * 8;
			}
			if (p->at > limit)
				return VERDICT_MALFORMED;
			proto = forget(v, b[0]);
			p->at = forget(v, p->at);
		}
	} else {
		return not_ip(v, p, type);
	}
	p->proto = proto;
	if (limit > p->limit)
		limit = p->limit;
	p->limit = limit;
	if (limit < p->end)
		p->end = limit;

	if (proto == PROTO_TCP) {
		b = bytes(v, p->at, 20);
		if (!b || p->at + 20 > p->end)
			return VERDICT_MALFORMED;
		n = (b[12] >> 4) * 4;
		p->src_port = *(const __be16 *)b;
		p->dst_port = *(const __be16 *)(b + 2);
		p->seq = *(const __be32 *)(b + 4);
		p->ack = *(const __be32 *)(b + 8);
		p->flags = b[13];
		p->at += n;
		if (n < 20 || p->at > limit)
			return VERDICT_MALFORMED;
		return VERDICT_TRANSPORT;
	}
	if (proto == PROTO_UDP) {
		b = bytes(v, p->at, 8);
		if (!b || p->at + 8 > p->end)
			return VERDICT_MALFORMED;
		n = be16(*(const __be16 *)(b + 4));
		p->src_port = *(const __be16 *)b;
		p->dst_port = *(const __be16 *)(b + 2);
		if (n != 0 || !six) {
			if (n < 8 || p->at + n > limit)
				return VERDICT_MALFORMED;
			p->limit = p->at + n;
			if (p->limit < p->end)
				p->end = p->limit;
		}
		p->at += 8;
		return VERDICT_TRANSPORT;
	}
	if (proto == PROTO_GRE)
		return VERDICT_INSIDE;
	if (proto == PROTO_IPV4 || proto == PROTO_IPV6 || proto == PROTO_AH)
		return VERDICT_UNFOLLOWED;
	return VERDICT_FOREIGN;
}

/*
 * headers for nearly every frame: Ethernet with at most one tag, IPv4 without
 * options or IPv6 without extension headers, TCP or UDP, well formed. It gives the
 * same for them, sooner; 0 for all others.
 */
static __always_inline int plain(const struct view *v, struct packet *p)
{
	const __u8 *b = bytes(v, 0, 18);
	if (!b)
		return 0;
	__u64 ip = 14, header, n;
	__be16 type = *(const __be16 *)(b + 12);
	if (is_tag(type)) {
		ip = 18;
		type = *(const __be16 *)(b + 16);
	}
	if (type == TYPE_IPV4) {
		header = 20;
		b = bytes(v, ip, 20 + 20);
		if (!b || b[0] != 0x45 || *(const __be16 *)(b + 6) & be16(0x3fff))
			return 0;
		n = be16(*(const __be16 *)(b + 2));
		p->proto = b[9];
		p->src[0] = 0;
		p->src[1] = mapped(*(const __be32 *)(b + 12));
		p->dst[0] = 0;
		p->dst[1] = mapped(*(const __be32 *)(b + 16));
		b += 20;
	} else if (type == TYPE_IPV6) {
		header = 40;
		b = bytes(v, ip, 40 + 20);
		if (!b || b[0] >> 4 != 6)
			return 0;
		n = 40 + be16(*(const __be16 *)(b + 4));
		p->proto = b[6];
		p->src[0] = *(const __u64 *)(b + 8);
		p->src[1] = *(const __u64 *)(b + 16);
		p->dst[0] = *(const __u64 *)(b + 24);
		p->dst[1] = *(const __u64 *)(b + 32);
		b += 40;
	} else {
		return 0;
	}
	p->at = ip + header;
	p->src_port = *(const __be16 *)b;
	p->dst_port = *(const __be16 *)(b + 2);
	if (p->proto == PROTO_TCP) {
		const __u64 tcp = b[12] >> 4 << 2;
		if (tcp < 20 || header + tcp > n)
			return 0;
		p->seq = *(const __be32 *)(b + 4);
		p->ack = *(const __be32 *)(b + 8);
		p->flags = b[13];
		p->at += tcp;
		p->end = ip + n;
	} else if (p->proto == PROTO_UDP) {
		const __u64 udp = be16(*(const __be16 *)(b + 4));
		if (udp < 8 || header + udp > n)
			return 0;
		p->end = p->at + udp;
		p->at += 8;
	} else {
		return 0;
	}
	if (p->end > v->len)
		p->end = v->len;
	return 1;
}
