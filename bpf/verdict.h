/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/*
 * What became of a frame; Verdict of the Go side has the same numbers. Those
 * below VERDICT_PASS were let go. To add one: here, there, and a frame in the
 * table of the tests.
 */
enum verdict {
	VERDICT_FOREIGN, /* neither TCP nor UDP */
	VERDICT_BULK,	 /* TCP or UDP of no interest */
	VERDICT_IGNORED, /* of a flow that user space wants no more of */
	VERDICT_LOST,	 /* wanted, but the ring was full */
	VERDICT_PASS,
	VERDICT_MALFORMED = VERDICT_PASS, /* cut, or a header that cannot be */
	VERDICT_UNFOLLOWED,		  /* an encapsulation that is left to user space */
	VERDICT_FRAGMENT,		  /* of an IP datagram */
	VERDICT_PORT,			  /* from or to a port of interest */
	VERDICT_WATCHED,		  /* of a flow of interest */
	VERDICT_BEGINS,			  /* a segment that begins one */
	VERDICT_DATAGRAM,		  /* a datagram of DCE/RPC */
	VERDICT_HANDSHAKE,		  /* SYN: user space knows by it where a stream begins */
	VERDICT_ENDS,			  /* SYN, FIN or RST of an ignored flow */
	VERDICTS,
	VERDICT_INSIDE,	   /* no verdict yet: a tunnel, what it carries comes next */
	VERDICT_TRANSPORT, /* no verdict yet: TCP or UDP */
};
