package sink

import (
	"encoding/binary"
	"errors"
)

// SchemaVersion is that of the records that are sent: it changes when a consumer
// has to read them in another way.
const SchemaVersion = "1"

// Message is a record for a broker. A spool keeps it as bytes.
type Message struct {
	Key     []byte // decides on the partition: records of one key keep their order
	Value   []byte
	Headers []Header
}

// Header is a header of a record.
type Header struct{ Name, Value string }

// errMessage is the error of bytes that are no message.
var errMessage = errors.New("not a message of this program")

// messageVersion is how Append writes.
const messageVersion = 1

// Append appends the message as bytes: a version, the key, the headers and the
// value, each behind its length as a varint.
func (m *Message) Append(b []byte) []byte {
	b = append(b, messageVersion)
	b = append(binary.AppendUvarint(b, uint64(len(m.Key))), m.Key...)
	b = binary.AppendUvarint(b, uint64(len(m.Headers)))
	for _, h := range m.Headers {
		b = append(binary.AppendUvarint(b, uint64(len(h.Name))), h.Name...)
		b = append(binary.AppendUvarint(b, uint64(len(h.Value))), h.Value...)
	}
	return append(binary.AppendUvarint(b, uint64(len(m.Value))), m.Value...)
}

// Parse reads what Append wrote. Key and value lie in b.
func (m *Message) Parse(b []byte) error {
	if len(b) == 0 || b[0] != messageVersion {
		return errMessage
	}
	b = b[1:]
	ok := true
	count := func() int {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			ok = false
			return 0
		}
		b = b[size:]
		return int(n)
	}
	next := func() []byte {
		n := count()
		field := b[:n:n]
		b = b[n:]
		return field
	}
	m.Key = next()
	m.Headers = m.Headers[:0]
	for n := count(); n > 0 && ok; n-- {
		m.Headers = append(m.Headers, Header{string(next()), string(next())})
	}
	m.Value = next()
	if !ok || len(b) > 0 {
		return errMessage
	}
	return nil
}
