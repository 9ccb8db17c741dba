package xdp

import "golang.org/x/sys/unix"

// clock turns the kernel's stamps, of the monotonic clock, into time since the
// epoch. The difference of the two clocks is measured anew as stamps go on, since
// the wall clock is slewed and set.
type clock struct {
	offset int64
	until  int64 // stamps from here on measure anew
}

const measureEvery = 1e9

func (c *clock) wall(stamp int64) int64 {
	if stamp >= c.until {
		c.offset = offset()
		c.until = stamp + measureEvery
	}
	return stamp + c.offset
}

// offset measures how far the wall clock is ahead.
func offset() int64 {
	best, offset := int64(1<<62), int64(0)
	for range 3 { // the tightest of three
		var before, wall, after unix.Timespec
		// They fail for clocks that do not exist; these do.
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &before)
		_ = unix.ClockGettime(unix.CLOCK_REALTIME, &wall)
		_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &after)
		b, a := before.Nano(), after.Nano()
		if a-b < best {
			best, offset = a-b, wall.Nano()-(b+(a-b)/2)
		}
	}
	return offset
}
