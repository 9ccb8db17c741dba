package decode

import "kmswatch/capture"

// Guess is guess, for tests.
var Guess = guess

// WatchAllPorts names every port twice, as answers of an endpoint mapper may.
func WatchAllPorts(s capture.Steerer) {
	e := endpoints{steer: s}
	for i := range 2 << 16 {
		e.watch(uint16(i))
	}
}
