package captures

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// order is a byte order that both puts and appends.
type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// rpc writes DCE/RPC PDUs in one data representation, as in C706 12.6 and
// MS-RPCE 2.2.2. It shares no code with the decoder.
type rpc struct{ order }

var (
	le = rpc{binary.LittleEndian}
	be = rpc{binary.BigEndian}
)

// PDU types, C706 12.6.4 and MS-RPCE 2.2.2.
const (
	ptRequest   = 0
	ptResponse  = 2
	ptFault     = 3
	ptBind      = 11
	ptBindAck   = 12
	ptBindNak   = 13
	ptAlter     = 14
	ptAlterResp = 15
	ptShutdown  = 17
	ptCancel    = 18
	ptOrphaned  = 19
)

// pfc_flags, C706 12.6.3.1.
const (
	first  = 0x01
	last   = 0x02
	whole  = first | last
	mpx    = 0x10
	object = 0x80
)

const ruleOfFragments = 5840 // max_xmit_frag and max_recv_frag that Windows offers

// syntax is an interface or a transfer syntax.
type syntax struct {
	uuid         string
	major, minor uint16
}

// Interfaces and transfer syntaxes.
var (
	kmsInterface = syntax{"51c82175-844e-4750-b0d8-ec255555bc06", 1, 0}
	samr         = syntax{"12345778-1234-abcd-ef00-0123456789ac", 1, 0}
	lsarpc       = syntax{"12345778-1234-abcd-ef00-0123456789ab", 0, 0}
	drsuapi      = syntax{"e3514235-4b06-11d1-ab04-00c04fc2dcd2", 4, 0}
	netlogon     = syntax{"12345678-1234-abcd-ef00-01234567cffb", 1, 0}
	svcctl       = syntax{"367abb81-9844-35f1-ad32-98f038001003", 2, 0}
	ndr32        = syntax{"8a885d04-1ceb-11c9-9fe8-08002b104860", 2, 0}
	ndr64        = syntax{"71710533-beba-4937-8319-b5dbef9ccc36", 1, 0}
	features     = syntax{"6cb71c2c-9812-4540-0300-000000000000", 1, 0}
	noSyntax     = syntax{"00000000-0000-0000-0000-000000000000", 0, 0}
)

// uuid appends a UUID: three integers in the data representation, eight bytes.
func (r rpc) uuid(b []byte, s string) []byte {
	u, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	must(err)
	b = r.AppendUint32(b, binary.BigEndian.Uint32(u[0:]))
	b = r.AppendUint16(b, binary.BigEndian.Uint16(u[4:]))
	b = r.AppendUint16(b, binary.BigEndian.Uint16(u[6:]))
	return append(b, u[8:]...)
}

func (r rpc) syntax(b []byte, s syntax) []byte {
	b = r.uuid(b, s.uuid)
	return r.AppendUint32(b, uint32(s.minor)<<16|uint32(s.major))
}

// verifier is the auth trailer of a PDU, MS-RPCE 2.2.2.11.
type verifier struct {
	kind, level byte
	context     uint32
	value       []byte
}

// pdu puts the common header before a body, and a verifier behind it.
func (r rpc) pdu(ptype, flags byte, call uint32, body []byte, v *verifier) []byte {
	drep := byte(0x10)
	if r.order == order(binary.BigEndian) {
		drep = 0
	}
	b := []byte{5, 0, ptype, flags, drep, 0, 0, 0}
	b = r.AppendUint16(b, 0)
	b = r.AppendUint16(b, 0)
	b = r.AppendUint32(b, call)
	b = append(b, body...)
	if v != nil {
		pad := 0
		for len(b)%4 != 0 {
			b = append(b, 0)
			pad++
		}
		b = append(b, v.kind, v.level, byte(pad), 0)
		b = r.AppendUint32(b, v.context)
		b = append(b, v.value...)
		r.PutUint16(b[10:], uint16(len(v.value)))
	}
	r.PutUint16(b[8:], uint16(len(b)))
	return b
}

// item is a presentation context that a client offers.
type item struct {
	id        uint16
	abstract  syntax
	transfers []syntax
}

// offer is an item of one transfer syntax.
func offer(id uint16, abstract syntax, transfers ...syntax) item {
	return item{id, abstract, transfers}
}

func (r rpc) items(items []item) []byte {
	b := r.AppendUint16(nil, ruleOfFragments)
	b = r.AppendUint16(b, ruleOfFragments)
	b = r.AppendUint32(b, 0) // association group
	b = append(b, byte(len(items)), 0, 0, 0)
	for _, it := range items {
		b = r.AppendUint16(b, it.id)
		b = append(b, byte(len(it.transfers)), 0)
		b = r.syntax(b, it.abstract)
		for _, s := range it.transfers {
			b = r.syntax(b, s)
		}
	}
	return b
}

func (r rpc) bind(call uint32, items ...item) []byte {
	return r.pdu(ptBind, whole|mpx, call, r.items(items), nil)
}

func (r rpc) alter(call uint32, items ...item) []byte {
	return r.pdu(ptAlter, whole|mpx, call, r.items(items), nil)
}

// result is the answer to an item, C706 12.6.3.1 p_result_t.
type result struct {
	code, reason uint16
	transfer     syntax
}

var (
	accepted32  = result{0, 0, ndr32}
	accepted64  = result{0, 0, ndr64}
	noInterface = result{2, 1, noSyntax} // abstract_syntax_not_supported
	noTransfer  = result{2, 2, noSyntax} // proposed_transfer_syntaxes_not_supported
	agreed      = result{3, 3, noSyntax} // negotiate_ack: both feature bits
)

func (r rpc) results(group uint32, secondary string, results []result) []byte {
	b := r.AppendUint16(nil, ruleOfFragments)
	b = r.AppendUint16(b, ruleOfFragments)
	b = r.AppendUint32(b, group)
	if secondary == "" {
		b = r.AppendUint16(b, 0)
	} else {
		b = r.AppendUint16(b, uint16(len(secondary)+1))
		b = append(append(b, secondary...), 0)
	}
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	b = append(b, byte(len(results)), 0, 0, 0)
	for _, x := range results {
		b = r.AppendUint16(b, x.code)
		b = r.AppendUint16(b, x.reason)
		b = r.syntax(b, x.transfer)
	}
	return b
}

func (r rpc) bindAck(call, group uint32, secondary string, results ...result) []byte {
	return r.pdu(ptBindAck, whole|mpx, call, r.results(group, secondary, results), nil)
}

func (r rpc) alterResp(call, group uint32, results ...result) []byte {
	return r.pdu(ptAlterResp, whole, call, r.results(group, "", results), nil)
}

// bindNak refuses a bind; reason 0 is not specified, 4 protocol version.
func (r rpc) bindNak(call uint32, reason uint16) []byte {
	b := r.AppendUint16(nil, reason)
	b = append(b, 1, 5, 0) // one version: 5.0
	return r.pdu(ptBindNak, whole, call, append(b, 0, 0, 0), nil)
}

// requestPart is one fragment of a request.
func (r rpc) requestPart(flags byte, call uint32, ctx, opnum uint16, hint int, stub []byte) []byte {
	b := r.AppendUint32(nil, uint32(hint))
	b = r.AppendUint16(b, ctx)
	b = r.AppendUint16(b, opnum)
	return r.pdu(ptRequest, flags, call, append(b, stub...), nil)
}

func (r rpc) request(call uint32, ctx, opnum uint16, stub []byte) []byte {
	return r.requestPart(whole, call, ctx, opnum, len(stub), stub)
}

// requestOn is a request to an object.
func (r rpc) requestOn(uuid string, call uint32, ctx, opnum uint16, stub []byte) []byte {
	b := r.AppendUint32(nil, uint32(len(stub)))
	b = r.AppendUint16(b, ctx)
	b = r.AppendUint16(b, opnum)
	b = r.uuid(b, uuid)
	return r.pdu(ptRequest, whole|object, call, append(b, stub...), nil)
}

func (r rpc) responsePart(flags byte, call uint32, ctx uint16, hint int, stub []byte) []byte {
	b := r.AppendUint32(nil, uint32(hint))
	b = r.AppendUint16(b, ctx)
	b = append(b, 0, 0) // cancel count
	return r.pdu(ptResponse, flags, call, append(b, stub...), nil)
}

func (r rpc) response(call uint32, ctx uint16, stub []byte) []byte {
	return r.responsePart(whole, call, ctx, len(stub), stub)
}

// Fault statuses.
const (
	accessDenied   = 0x00000005
	unknownOpnum   = 0x1c010002 // nca_s_op_rng_error
	unknownIf      = 0x1c010003 // nca_s_unk_if
	contextUnknown = 0x1c00001a // nca_s_fault_context_mismatch
	badStub        = 0x000006f7 // RPC_X_BAD_STUB_DATA
)

func (r rpc) fault(call uint32, ctx uint16, status uint32) []byte {
	b := r.AppendUint32(nil, 32)
	b = r.AppendUint16(b, ctx)
	b = append(b, 0, 0) // cancel count
	b = r.AppendUint32(b, status)
	return r.pdu(ptFault, whole, call, r.AppendUint32(b, 0), nil)
}

// fragments cuts a request into PDUs of n stub bytes each.
func (r rpc) fragments(call uint32, ctx, opnum uint16, stub []byte, n int) [][]byte {
	var out [][]byte
	for at := 0; at < len(stub); at += n {
		end := min(at+n, len(stub))
		out = append(out, r.requestPart(ends(at == 0, end == len(stub)), call, ctx, opnum, len(stub)-at, stub[at:end]))
	}
	return out
}

// answers cuts a response likewise.
func (r rpc) answers(call uint32, ctx uint16, stub []byte, n int) [][]byte {
	var out [][]byte
	for at := 0; at < len(stub); at += n {
		end := min(at+n, len(stub))
		out = append(out, r.responsePart(ends(at == 0, end == len(stub)), call, ctx, len(stub)-at, stub[at:end]))
	}
	return out
}

func ends(isFirst, isLast bool) (flags byte) {
	if isFirst {
		flags |= first
	}
	if isLast {
		flags |= last
	}
	return flags
}

// Changes to a finished PDU.
func withFlags(b []byte, flags byte) []byte { b[3] = flags; return b }
func withMinor(b []byte, minor byte) []byte { b[1] = minor; return b }
func withFragLen(b []byte, n uint16) []byte { binary.LittleEndian.PutUint16(b[8:], n); return b }
func withAuthLen(b []byte, n uint16) []byte { binary.LittleEndian.PutUint16(b[10:], n); return b }
