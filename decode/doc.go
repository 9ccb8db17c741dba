// Package decode turns frames into events. An Engine is fed frames in the
// order of the capture and tells its Handler in that same order of DCE/RPC
// (binds, calls and who makes them, over TCP, UDP, HTTP and the named pipes of
// SMB), of KMS exchanges, SMB sessions, LDAP binds and searches, Kerberos
// replies, SRV lookups, and of what is malformed or hides.
//
// A frame passes three stages. The headers are walked and most frames let go:
// a port bitmap, a test of the payload's first bytes and a hashed bitmap of
// the flows of interest settle it, without a look into a table. What is left
// is assigned to one of a fixed number of shards by a symmetric hash of its
// flow, so that a flow's frames meet one shard in order. A shard owns its flow
// table, its reassembly buffers and its associations.
//
// With one worker the shards run inside Feed. With more, frames travel to the
// workers in batches, copied once, and the events of a batch are merged by
// frame before they are told. The number of shards, and with it every bound
// and every eviction, does not depend on the number of workers: neither do the
// events.
//
// Traffic is found by its content on any port: DCE/RPC, SMB, Kerberos and HTTP by
// their first bytes, also where the handshake was missed. LDAP, whose first bytes
// are too plain, is looked for on its ports alone. Endpoints that an endpoint
// mapper names are followed from their SYN.
//
// Who asks is told with each call: by the tokens of the association's own
// verifiers, which go before those of the SMB session that its pipe is in.
// Names come from tokens; credentials are never part of an event.
//
// Bad input is never an error: it becomes an Anomaly event or a counter. Time
// is that of the frames. Who captures live lets it pass by Advance while no frame
// comes, tells by Lost what was dropped, and does by Between what is to be done
// between two frames: where the events are told, with the counters, without a lock.
package decode
