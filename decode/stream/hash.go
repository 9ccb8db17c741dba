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
