package alerts

import (
	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/software"
)

// bound remembers what software made the binds of late: by association, each in
// the one place that it has, so that a newer one may take it.
type bound struct {
	places [boundPlaces]boundBy
}

const boundPlaces = 4096 // a power of 2

type boundBy struct {
	of         decode.AssociationID
	name       string
	confidence uint8 // of 100
}

func (b *bound) place(of decode.AssociationID) *boundBy {
	h := (of.Flow ^ uint64(of.Pipe)<<32) * 0x9e3779b97f4a7c15
	return &b.places[h>>52&(boundPlaces-1)]
}

// note learns from a bind. Those to KMS are left out: they are most of all where
// there is KMS, and nothing else is asked of their associations.
func (b *bound) note(e *decode.Bind) {
	if e.Alter || len(e.Contexts) == 0 || e.Contexts[0].Abstract.UUID == dcerpc.KMS {
		return
	}
	if name, confidence := software.ClientName(&e.Negotiation); name != "" {
		*b.place(e.ID) = boundBy{e.ID, name, confidence}
	}
}

// ClientSoftware gives what software seems to have made the bind of an
// association, and how sure that is, of 100; empty if that is not known, or no
// longer.
func (c *Context) ClientSoftware(of decode.AssociationID) (name string, confidence uint8) {
	if p := c.eval.bound.place(of); p.of == of {
		return p.name, p.confidence
	}
	return "", 0
}
