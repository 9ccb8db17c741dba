package ncadg

import (
	"encoding/binary"
	"testing"

	"kmswatch/decode/dcerpc"
)

// BenchmarkCall stands for what PROFINET IO sends: calls of one datagram each
// way in one activity.
func BenchmarkCall(b *testing.B) {
	for name, cfg := range map[string]*dcerpc.Config{"headers": {}, "stubs": {Stubs: keepAll}} {
		b.Run(name, func(b *testing.B) {
			var v Conv
			v.Reset(cfg)
			h := new(silentHandler)
			q, r := ask(1, string(make([]byte, 300))).bytes(), answer(1, string(make([]byte, 200))).bytes()
			b.ReportAllocs()
			b.SetBytes(int64(len(q) + len(r)))
			for seq := uint32(0); b.Loop(); seq++ {
				binary.LittleEndian.PutUint32(q[64:], seq)
				binary.LittleEndian.PutUint32(r[64:], seq)
				v.Datagram(0, q, dcerpc.Point{Time: int64(seq) * 1e6}, h)
				v.Datagram(1, r, dcerpc.Point{Time: int64(seq) * 1e6}, h)
			}
		})
	}
}
