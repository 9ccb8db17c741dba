/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "payload.h"

/* The same for both directions, as a sum is; its high bits are the best. Filter.hash of the Go side computes it too. */
static __always_inline __u64 flow_hash(const struct packet *p)
{
	const __u64 addrs = (p->src[0] + p->dst[0]) * 0x9e3779b97f4a7c15ull + p->src[1] + p->dst[1];
	const __u64 ports = (__u64)p->src_port * p->dst_port + p->src_port + p->dst_port;
	__u64 h = (addrs ^ seed) * 0xff51afd7ed558ccdull + ports * 0x9e3779b97f4a7c15ull;

	h ^= h >> 32;
	return h * 0xc4ceb9fe1a85ec53ull;
}

static __always_inline void flow_key(const struct packet *p, struct flow_key *k)
{
	const int swap = p->src[0] != p->dst[0] ? p->src[0] > p->dst[0]
		       : p->src[1] != p->dst[1] ? p->src[1] > p->dst[1]
						: p->src_port > p->dst_port;
	k->lo_addr[0] = swap ? p->dst[0] : p->src[0];
	k->lo_addr[1] = swap ? p->dst[1] : p->src[1];
	k->hi_addr[0] = swap ? p->src[0] : p->dst[0];
	k->hi_addr[1] = swap ? p->src[1] : p->dst[1];
	k->lo_port = swap ? p->dst_port : p->src_port;
	k->hi_port = swap ? p->src_port : p->dst_port;
	k->proto = p->proto;
}

static __always_inline __u64 *hint(struct tables *t, __u64 hash)
{
	return &t->hints[hash >> (64 - HINT_BITS + 4)];
}

static __always_inline __u32 hint_shift(__u64 hash)
{
	return (hash >> (64 - HINT_BITS) & 15) * 4;
}

/*
 * Enters a flow. First the map, then the hint: who clears stale hints goes the
 * other way round and so misses none. The hint grows also where it is not 0, so
 * that a change of it can be seen, but not so far that what other processors add
 * at the same time could carry into the next.
 */
static __noinline int enter(const struct flow_key *k, struct tables *t, __u64 hash)
{
	const __u32 watch = WATCH, shift = hint_shift(hash);

	if (!k || !t)
		return 0;
	bpf_map_update_elem(&flows, k, &watch, 0);
	__u64 *h = hint(t, hash);
	if ((*h >> shift & 15) < 8)
		__sync_fetch_and_add(h, 1ull << shift);
	return 0;
}

static __always_inline __u32 shake_place(__u64 hash)
{
	return hash >> (64 - SHAKE_BITS);
}

static __always_inline struct shake *shake_of(__u64 hash)
{
	const __u32 place = shake_place(hash);
	return bpf_map_lookup_elem(&shakes, &place);
}

/* The last four bytes of an address. */
static __always_inline __be32 tail(__u64 half)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return half >> 32;
#else
	return half;
#endif
}

static __always_inline int from_client(const struct shake *s, const struct packet *p)
{
	return p->src_port == s->port && tail(p->src[1]) == s->client;
}

/* Remembers the sequence numbers of a SYN or a SYN-ACK. */
static __always_inline void note(struct tables *t, const struct packet *p, __u64 hash)
{
	struct shake *s = shake_of(hash);
	if (!s)
		return;
	if (!(p->flags & ACK)) {
		s->state = 0;
		s->hash = hash;
		s->seq[0] = be32(p->seq);
		s->client = tail(p->src[1]);
		s->port = p->src_port;
		s->state = 1;
		return;
	}
	if (s->hash == hash && s->state == 1 && be32(p->ack) == s->seq[0] + 1 && !from_client(s, p)) {
		s->seq[1] = be32(p->seq);
		s->state = 2;
		t->fresh[shake_place(hash)] = 1;
	}
}

/* How far behind the first byte of an end a segment may be that came before it. */
#define FAR_AHEAD (1 << 20)

/*
 * Does other data of its flow go before a segment, which was not seen yet? Then
 * it is not known what the flow is: who sends the first piece late may hide it.
 */
static __always_inline int ahead(struct tables *t, const struct packet *p, __u64 hash)
{
	__u8 *fresh = &t->fresh[shake_place(hash)];
	if (!*fresh)
		return 0;
	const struct shake *s = shake_of(hash);
	if (!s || s->hash != hash || s->state != 2)
		return 0;
	const __u32 gap = be32(p->seq) - (from_client(s, p) ? s->seq[0] : s->seq[1]) - 1;
	if (gap == 0)
		*fresh = 0;
	return gap != 0 && gap < FAR_AHEAD;
}

/* What a packet of TCP or UDP is, whose payload is at p->at. */
static __always_inline int decide(const struct view *v, struct packet *p, struct tables *t)
{
	const __u64 len = p->end > p->at ? p->end - p->at : 0;
	const __u64 *ports = t->ports[p->proto == PROTO_UDP];
	const __u32 src = be16(p->src_port), dst = be16(p->dst_port);
	const __u64 on_port = (ports[src >> 6] >> (src & 63) | ports[dst >> 6] >> (dst & 63)) & 1;
	const __u64 hash = flow_hash(p);
	struct flow_key k;

	if (*hint(t, hash) >> hint_shift(hash) & 15) {
		flow_key(p, &k);
		const __u32 *action = bpf_map_lookup_elem(&flows, &k);
		if (action && *action == IGNORE) {
			if (p->proto != PROTO_TCP || !(p->flags & (SYN | FIN | RST)))
				return VERDICT_IGNORED;
			if ((p->flags & (SYN | ACK)) == SYN) { /* another connection of the same ends */
				bpf_map_delete_elem(&flows, &k);
				note(t, p, hash);
			}
			return VERDICT_ENDS;
		}
		if (action && !on_port)
			return VERDICT_WATCHED;
	}
	if (on_port)
		return VERDICT_PORT;
	if (p->proto == PROTO_UDP)
		return datagram(v, p, len);
	if (p->flags & SYN) {
		note(t, p, hash);
		return VERDICT_HANDSHAKE;
	}
	if (len == 0)
		return VERDICT_BULK;
	const int verdict = ahead(t, p, hash) ? VERDICT_BEGINS : begins(v, p, len);
	if (verdict == VERDICT_BEGINS) {
		flow_key(p, &k);
		enter(&k, t, hash);
	}
	return verdict;
}

static __always_inline int carried(const struct view *v, struct packet *p, struct tables *t)
{
	const int verdict = headers(v, p);
	if (verdict != VERDICT_TRANSPORT)
		return verdict;
	p->at = forget(v, p->at);
	p->end = forget(v, p->end);
	p->limit = forget(v, p->limit);
	const int decided = decide(v, p, t);
	return decided == VERDICT_BULK && p->proto == PROTO_UDP ? udp_tunnel(v, p) : decided;
}

/* judge for frames that are not plain, or in a tunnel: on its own, out of the way of the others. */
static __noinline int walk(const struct view *v, struct tables *t)
{
	struct packet p = {.type = TYPE_ETHERNET, .end = v->len, .limit = ~0ull};
	int verdict;

	if (!t)
		return VERDICT_MALFORMED;
	if (raw_ip) {
		const __u8 *b = bytes(v, 0, 1);
		if (!b)
			return VERDICT_MALFORMED;
		p.type = *b >> 4 == 6 ? TYPE_IPV6 : TYPE_IPV4;
	}
	verdict = carried(v, &p, t);
	if (verdict == VERDICT_INSIDE && p.proto == PROTO_GRE)
		verdict = gre(v, &p);
	if (verdict != VERDICT_INSIDE)
		return verdict;
	p.at = forget(v, p.at);
	p.end = forget(v, p.end);
	p.limit = forget(v, p.limit);
	p.type = forget(v, p.type);
	verdict = carried(v, &p, t);
	return verdict == VERDICT_INSIDE ? VERDICT_UNFOLLOWED : verdict;
}

static __always_inline struct tables *the_tables(void)
{
	const __u32 zero = 0;
	return bpf_map_lookup_elem(&tables, &zero);
}

/* What a frame is. VERDICT_MALFORMED also where more of it must be made readable: then walk decides. */
static __always_inline int judge(const struct view *v)
{
	struct tables *t = the_tables();
	struct packet p;

	if (!t)
		return VERDICT_MALFORMED;
	if (!raw_ip && plain(v, &p)) {
		const int verdict = decide(v, &p, t);
		if (verdict != VERDICT_BULK || p.proto != PROTO_UDP || !is_tunnel(&p))
			return verdict;
	}
	struct view copy = *v;
	copy.have = forget(v, copy.have);
	copy.len = forget(v, copy.len);
	return walk(&copy, t);
}
