// Package spool keeps records on disk until somebody else has them: between the
// rules, which must not wait, and a broker, which may be away for hours.
//
// A record is appended in memory, written and synced with those that came in
// the same few milliseconds, and only then given to the reader, in the order of
// appending. It is deleted once the reader has acknowledged it and all before
// it. Whatever happens to the process or the machine, what was synced is given
// again: a record may be given twice and never not at all.
//
// Records have a level. Each level is a log of its own, in numbered segments,
// and the reader merges them by sequence number; so that when the bound on bytes
// is met, the oldest records of the lowest level go first, a segment at a time.
//
// A segment is a file of frames, little-endian:
//
//	magic  [4]byte
//	length u32   bytes of data
//	crc    u32   CRC-32C of what follows
//	seq    u64   of the record, over all levels, from 1
//	nth    u64   of the record within its level, from 1: a hole is a loss
//	time   i64   nanoseconds since the Unix epoch, UTC
//	data
//
// A frame that does not hold is passed over to the next that does, and the file
// is set aside under another name once it has been read. The end of the newest
// segment that was being written when the machine stopped is cut off.
//
// A spool outlives its disk. While nothing can be written, what is appended is
// read from memory, and what is not acknowledged by the time it can be is written
// then. A folder that was removed is made anew; a file that is gone, or cannot be
// read for long, is given up, set aside if it is there, and its records are told
// to be lost.
package spool
