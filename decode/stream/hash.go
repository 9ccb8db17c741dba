package stream

import (
	"encoding/binary"
	"math/bits"
)

// Odd numbers without structure, the fractional digits of pi.
const (
	pi0 = 0x243f6a8885a308d3
	pi1 = 0x13198a2e03707345
	pi2 = 0xa4093822299f31d1
	pi3 = 0x082efa98ec4e6c89
	pi4 = 0x452821e638d01377
)

// mix folds 128 bits into 64, each bit of the result depending on all. Of what
// a sender chooses, only what is masked with a seed may go in: a zero erases
// the other half.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func word(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// Hash mixes the key with a seed. With a seed that a sender does not know, he
// cannot choose flows that collide.
func (k *Key) Hash(seed uint64) uint64 {
	a := mix(word(k.Lo[:8])^seed^pi0, word(k.Lo[8:])^seed^pi1)
	b := mix(word(k.Hi[:8])^seed^pi2, word(k.Hi[8:])^seed^pi3)
	ports := uint64(k.LoPort)<<48 | uint64(k.HiPort)<<32 | uint64(k.Proto)
	return mix(a^ports^seed^pi4, bits.RotateLeft64(b, 32)^seed^pi1)
}

// sum hashes bytes, for TCP payloads of a few hundred bytes: four lanes of 16
// bytes, the last of which overlap those before.
func sum(seed uint64, b []byte) uint64 {
	n := uint64(len(b))
	s0, s1, s2, s3 := seed^pi0, seed^pi1, seed^pi2, seed^pi3
	a := s0
	switch {
	case len(b) >= 64:
		c, d, e := s1, s2, s3
		last := (*[64]byte)(b[len(b)-64:])
		for {
			p := last
			if len(b) > 64 {
				p = (*[64]byte)(b)
			}
			a = mix(word(p[0:])^s1, word(p[8:])^a)
			c = mix(word(p[16:])^s2, word(p[24:])^c)
			d = mix(word(p[32:])^s3, word(p[40:])^d)
			e = mix(word(p[48:])^s0, word(p[56:])^e)
			if len(b) <= 64 {
				break
			}
			b = b[64:]
		}
		a = mix(a^c^s1, d^e^s2)
	case len(b) >= 16:
		last := (*[16]byte)(b[len(b)-16:])
		for ; len(b) > 16; b = b[16:] {
			p := (*[16]byte)(b)
			a = mix(word(p[0:])^s1, word(p[8:])^a)
		}
		a = mix(word(last[0:])^s1, word(last[8:])^a)
	default:
		var p [16]byte
		copy(p[:], b)
		a = mix(word(p[0:])^s1, word(p[8:])^a)
	}
	return mix(a^s3, n^s2)
}
