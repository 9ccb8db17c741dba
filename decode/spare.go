package decode

// maxSpare is how many values of a kind a shard keeps for flows to come.
const maxSpare = 64

// spare is a stock of such values. What is put into it was reset: an idle one
// keeps little memory, one that has just ended may hold a lot.
type spare[T any] []*T

// take gives one, or nil.
func (s *spare[T]) take() *T {
	n := len(*s) - 1
	if n < 0 {
		return nil
	}
	v := (*s)[n]
	*s = (*s)[:n]
	return v
}

func (s *spare[T]) put(v *T) {
	if len(*s) < maxSpare {
		*s = append(*s, v)
	}
}
