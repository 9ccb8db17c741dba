package main

import (
	"fmt"
	"net/netip"
	"time"

	"kmswatch/decode"
	"kmswatch/decode/dcerpc"
	"kmswatch/decode/dns"
	"kmswatch/decode/kerberos"
	"kmswatch/decode/kms"
	"kmswatch/decode/ncadg"
)

// message is one object of the decode verb's output. What a message does not
// say is absent.
type message struct {
	File      string `json:"file,omitempty"`
	Frame     uint64 `json:"frame"`
	Time      string `json:"time"`
	Src       string `json:"src"`
	Dst       string `json:"dst"`
	Transport string `json:"transport"`
	Protocol  string `json:"protocol"`

	Pipe      string            `json:"pipe,omitempty"`
	PDU       string            `json:"pdu,omitempty"`
	CallID    *uint32           `json:"call_id,omitempty"`
	ContextID *uint16           `json:"context_id,omitempty"`
	Interface *interfaceMessage `json:"interface,omitempty"`
	Opnum     *uint16           `json:"opnum,omitempty"`
	Operation string            `json:"operation,omitempty"`
	Object    string            `json:"object,omitempty"`
	Activity  string            `json:"activity,omitempty"`
	Contexts  []contextMessage  `json:"contexts,omitempty"`
	Group     *uint32           `json:"assoc_group,omitempty"`
	Secondary string            `json:"secondary_address,omitempty"`
	Status    *statusMessage    `json:"status,omitempty"`
	NakReason string            `json:"nak_reason,omitempty"`
	Auth      *authMessage      `json:"auth,omitempty"`
	Fragment  *fragmentMessage  `json:"fragment,omitempty"`
	StubBytes *int              `json:"stub_bytes,omitempty"`
	KMS       *kmsMessage       `json:"kms,omitempty"`
	DNS       *dnsMessage       `json:"dns,omitempty"`
	SMB       *smbMessage       `json:"smb,omitempty"`
	LDAP      *ldapMessage      `json:"ldap,omitempty"`
	Kerberos  *kerberosMessage  `json:"kerberos,omitempty"`
	Carrier   string            `json:"carrier,omitempty"`
	SPNEGO    *spnegoMessage    `json:"spnego,omitempty"`
	NTLM      *ntlmMessage      `json:"ntlmssp,omitempty"`
	Netlogon  *netlogonMessage  `json:"netlogon,omitempty"`
	RTS       *rtsMessage       `json:"rts,omitempty"`
	Outcome   string            `json:"outcome,omitempty"`
	Software  *softwareMessage  `json:"software,omitempty"`
	Anomaly   string            `json:"anomaly,omitempty"`
	Offset    *int              `json:"offset,omitempty"`
	Guess     string            `json:"guess,omitempty"`
	Quality   []string          `json:"quality,omitempty"`
	VLANs     []uint16          `json:"vlans,omitempty"`
	Tunnel    *tunnelMessage    `json:"tunnel,omitempty"`
}

type interfaceMessage struct {
	UUID    string `json:"uuid"`
	Version string `json:"version"`
	Name    string `json:"name,omitempty"`
}

type contextMessage struct {
	ID             *uint16           `json:"id,omitempty"`
	Interface      *interfaceMessage `json:"interface,omitempty"`
	Transfer       []string          `json:"transfer_syntaxes,omitempty"`
	Result         string            `json:"result,omitempty"`
	Reason         string            `json:"reason,omitempty"`
	FeaturesWanted *uint16           `json:"features_offered,omitempty"`
	Features       *uint16           `json:"features_granted,omitempty"`
}

type statusMessage struct {
	Code uint32 `json:"code"`
	Name string `json:"name,omitempty"`
}

type authMessage struct {
	Type      string `json:"type"`
	Level     string `json:"level"`
	ContextID uint32 `json:"context_id"`
}

type fragmentMessage struct {
	First bool `json:"first"`
	Last  bool `json:"last"`
}

type tunnelMessage struct {
	Type string `json:"type"`
	ID   uint32 `json:"id"`
}

type kmsMessage struct {
	Type           string         `json:"type"` // request or response
	Version        string         `json:"version,omitempty"`
	Length         int            `json:"length,omitempty"`
	VirtualMachine *bool          `json:"virtual_machine,omitempty"`
	LicenceStatus  string         `json:"licence_status,omitempty"`
	MinutesLeft    *uint32        `json:"minutes_left,omitempty"`
	Application    *namedUUID     `json:"application,omitempty"`
	SKU            string         `json:"sku,omitempty"`
	CountedID      string         `json:"kms_counted_id,omitempty"`
	ClientMachine  string         `json:"client_machine_id,omitempty"`
	PreviousClient string         `json:"previous_client_machine_id,omitempty"`
	MinClients     *uint32        `json:"minimum_clients,omitempty"`
	ClientTime     string         `json:"client_time,omitempty"`
	Workstation    string         `json:"workstation,omitempty"`
	Result         *statusMessage `json:"result,omitempty"`
	ProductID      string         `json:"product_id,omitempty"`
	ClientCount    *uint32        `json:"client_count,omitempty"`
	Activation     *uint32        `json:"activation_interval_minutes,omitempty"`
	Renewal        *uint32        `json:"renewal_interval_minutes,omitempty"`
}

type namedUUID struct {
	UUID string `json:"uuid"`
	Name string `json:"name,omitempty"`
}

type dnsMessage struct {
	ID       uint16       `json:"id"`
	Response bool         `json:"response"`
	Opcode   string       `json:"opcode"`
	RCode    string       `json:"rcode,omitempty"`
	Name     string       `json:"name,omitempty"`
	Type     string       `json:"type,omitempty"`
	CNAMEs   []string     `json:"cnames,omitempty"`
	SRV      []srvMessage `json:"srv,omitempty"`
	Signed   bool         `json:"signed,omitempty"`
}

type srvMessage struct {
	Name       string       `json:"name"`
	Change     string       `json:"change,omitempty"`
	TTL        uint32       `json:"ttl"`
	Priority   uint16       `json:"priority"`
	Weight     uint16       `json:"weight"`
	Port       uint16       `json:"port"`
	Target     string       `json:"target"`
	Addresses  []netip.Addr `json:"addresses,omitempty"`
	Compressed bool         `json:"compressed,omitempty"`
}

// newMessage makes the object of an event, or reports that the event is no
// message.
func newMessage(e decode.Event) (*message, bool) {
	h := e.Head()
	src, dst := h.Flow.Client, h.Flow.Server
	if h.FromServer {
		src, dst = dst, src
	}
	m := &message{
		Frame:   h.At.Frame,
		Time:    time.Unix(0, h.Time).UTC().Format("2006-01-02T15:04:05.000000000Z07:00"),
		Src:     netip.AddrPortFrom(src.Addr, src.Port).String(),
		Dst:     netip.AddrPortFrom(dst.Addr, dst.Port).String(),
		Quality: h.Flow.Quality.Names(),
	}
	for _, v := range h.Flow.VLANs {
		if v != 0 {
			m.VLANs = append(m.VLANs, v)
		}
	}
	if h.Flow.Tunnel != decode.NoTunnel {
		m.Tunnel = &tunnelMessage{h.Flow.Tunnel.String(), h.Flow.TunnelID}
	}
	switch e := e.(type) {
	case *decode.PDU:
		m.Transport, m.Protocol, m.Pipe = e.Transport.String(), "dcerpc", e.Pipe
		m.addPDU(e)
	case *decode.Bind:
		m.Transport, m.Protocol, m.Pipe = e.Transport.String(), "dcerpc", e.Pipe
		m.PDU, m.CallID, m.Outcome = "negotiation", &e.CallID, e.Outcome.String()
		if m.Software = newSoftwareMessage(e); m.Software == nil {
			return nil, false
		}
	case *decode.DatagramPDU:
		m.Transport, m.Protocol = e.Transport.String(), "dcerpc"
		m.addDatagramPDU(e.PDU)
	case *decode.KMSMessage:
		m.Transport, m.Protocol, m.Pipe = e.Transport.String(), "kms", e.Pipe
		m.CallID = &e.CallID
		if e.Request != nil {
			m.KMS = newKMSRequest(e.Request)
		} else {
			m.KMS = newKMSResponse(e.Response)
		}
		if e.Anomaly != 0 {
			m.Anomaly = e.Anomaly.String()
		}
	case *decode.DNSMessage:
		m.Transport, m.Protocol = ipProtocol(h.Flow.Proto), "dns"
		m.DNS = newDNSMessage(e.Message)
	case *decode.SMBMessage:
		m.Transport, m.Protocol = "tcp", "smb"
		m.SMB = newSMBMessage(e.Message)
		if e.Message.Pipe != nil {
			m.Pipe = e.Message.Pipe.Name
		}
	case *decode.LDAPMessage:
		m.Transport, m.Protocol = ipProtocol(h.Flow.Proto), "ldap"
		m.LDAP = newLDAPMessage(e.Message)
	case *decode.Token:
		if e.Tokens.Layers == 0 {
			return nil, false
		}
		m.addToken(e)
	case *decode.RTSMessage:
		m.Transport, m.Protocol, m.PDU = e.Transport.String(), "dcerpc", dcerpc.TypeRTS.String()
		m.RTS = newRTSMessage(e.RTS)
	case *decode.KerberosMessage:
		m.Transport, m.Protocol = ipProtocol(h.Flow.Proto), "kerberos"
		m.Kerberos = newKerberosMessage(e.Message)
	case *decode.Foreign:
		m.Transport, m.Protocol, m.Guess = "tcp", "foreign", e.Guess
	case *decode.Anomaly:
		if e.Protocol == decode.ProtoKMS {
			return nil, false // the KMS message has said it
		}
		m.Transport, m.Protocol = ipProtocol(h.Flow.Proto), e.Protocol.String()
		if e.Protocol == decode.ProtoDCERPC {
			m.Transport, m.Pipe = e.Transport.String(), e.Pipe
		}
		m.Anomaly, m.Offset = e.Name, &e.Offset
	default:
		return nil, false
	}
	return m, true
}

func ipProtocol(n uint8) string {
	switch n {
	case 6:
		return "tcp"
	case 17:
		return "udp"
	}
	return fmt.Sprintf("ip-%d", n)
}

func (m *message) addPDU(e *decode.PDU) {
	p := e.PDU
	m.PDU = p.Type.String()
	m.CallID = &p.CallID
	m.Fragment = &fragmentMessage{p.Flags&dcerpc.FlagFirst != 0, p.Flags&dcerpc.FlagLast != 0}
	if p.Auth.Present {
		m.Auth = &authMessage{p.Auth.Type.String(), p.Auth.Level.String(), p.Auth.ContextID}
	}
	switch p.Type {
	case dcerpc.TypeRequest, dcerpc.TypeResponse, dcerpc.TypeFault:
		m.ContextID = &p.ContextID
		n := len(p.Stub)
		m.StubBytes = &n
		if e.Known {
			m.Interface = newInterface(e.Interface)
		}
		if p.Type == dcerpc.TypeRequest {
			m.Opnum = &p.Opnum
			if e.Known {
				m.Operation = dcerpc.OperationName(e.Interface.UUID, p.Opnum)
			}
			if p.HasObject {
				m.Object = p.Object.String()
			}
		}
		if p.Type == dcerpc.TypeFault {
			m.Status = &statusMessage{p.Status, dcerpc.StatusName(p.Status)}
		}
	case dcerpc.TypeBind, dcerpc.TypeAlterContext:
		m.Group = &p.Group
		for i := range p.Contexts {
			m.Contexts = append(m.Contexts, newOffer(&p.Contexts[i]))
		}
	case dcerpc.TypeBindAck, dcerpc.TypeAlterContextResp:
		m.Group = &p.Group
		m.Secondary = string(p.Secondary)
		for i := range p.Contexts {
			m.Contexts = append(m.Contexts, newAnswer(&p.Contexts[i]))
		}
	case dcerpc.TypeBindNak:
		m.NakReason = dcerpc.NakReasonName(p.NakReason)
	}
}

func (m *message) addDatagramPDU(p *ncadg.PDU) {
	m.PDU = p.Type.String()
	m.Software = newDatagramSoftware(&p.Header)
	m.CallID = &p.Seq
	m.Activity = p.Activity.String()
	m.Interface = newInterface(p.Interface)
	m.Opnum = &p.Opnum
	m.Operation = dcerpc.OperationName(p.Interface.UUID, p.Opnum)
	if p.Object != (dcerpc.UUID{}) {
		m.Object = p.Object.String()
	}
	if p.Auth.Present {
		m.Auth = &authMessage{p.Auth.Type.String(), p.Auth.Level.String(), p.Auth.ContextID}
	}
	fragment := p.Flags1&ncadg.FlagFrag != 0
	m.Fragment = &fragmentMessage{!fragment || p.Fragment == 0, !fragment || p.Flags1&ncadg.FlagLastFrag != 0}
	if n := len(p.Stub); n > 0 {
		m.StubBytes = &n
	}
	if p.Type == dcerpc.TypeFault || p.Type == dcerpc.TypeReject {
		m.Status = &statusMessage{p.Status, dcerpc.StatusName(p.Status)}
	}
}

func newInterface(s dcerpc.Syntax) *interfaceMessage {
	name, _ := dcerpc.LookupInterface(s.UUID)
	return &interfaceMessage{s.UUID.String(), fmt.Sprintf("%d.%d", s.Major, s.Minor), name}
}

func newOffer(c *dcerpc.ContextItem) contextMessage {
	m := contextMessage{ID: &c.ID, Interface: newInterface(c.Abstract)}
	for _, t := range c.Transfer {
		m.Transfer = append(m.Transfer, syntaxName(t))
		if bits, ok := t.Features(); ok {
			m.FeaturesWanted = &bits
		}
	}
	return m
}

func newAnswer(c *dcerpc.ContextItem) contextMessage {
	m := contextMessage{Result: c.Result.String()}
	switch c.Result {
	case dcerpc.Acceptance:
		m.Transfer = []string{syntaxName(c.Accepted)}
	case dcerpc.NegotiateAck:
		m.Features = &c.Reason
	default:
		m.Reason = dcerpc.RejectReasonName(c.Reason)
	}
	return m
}

func syntaxName(s dcerpc.Syntax) string {
	switch {
	case s == dcerpc.NDR32:
		return "ndr32"
	case s == dcerpc.NDR64:
		return "ndr64"
	}
	if _, ok := s.Features(); ok {
		return "bind-time-features"
	}
	return fmt.Sprintf("%s v%d.%d", s.UUID, s.Major, s.Minor)
}

func newKMSRequest(r *kms.Request) *kmsMessage {
	m := &kmsMessage{Type: "request", Version: fmt.Sprintf("%d.%d", r.Major, r.Minor), Length: r.Length}
	if r.Major != 4 {
		return m
	}
	virtual := r.VirtualMachine != 0
	m.VirtualMachine = &virtual
	m.LicenceStatus = kms.LicenceStatusName(r.LicenceStatus)
	m.MinutesLeft = &r.MinutesLeft
	m.Application = &namedUUID{r.Application.String(), kms.ApplicationName(r.Application)}
	m.SKU = r.SKU.String()
	m.CountedID = r.CountedID.String()
	m.ClientMachine = r.ClientMachine.String()
	if r.PreviousClient != (dcerpc.UUID{}) {
		m.PreviousClient = r.PreviousClient.String()
	}
	m.MinClients = &r.MinClients
	m.ClientTime = fileTime(r.ClientTime)
	m.Workstation = r.WorkstationName()
	return m
}

func newKMSResponse(r *kms.Response) *kmsMessage {
	m := &kmsMessage{Type: "response", Result: &statusMessage{r.HResult, kms.StatusName(r.HResult)}}
	if !r.HasBody {
		return m
	}
	m.Version, m.Length = fmt.Sprintf("%d.%d", r.Major, r.Minor), r.Length
	if r.Major != 4 {
		return m
	}
	m.ProductID = r.ProductIDText()
	m.ClientMachine = r.ClientMachine.String()
	m.ClientTime = fileTime(r.ClientTime)
	m.ClientCount, m.Activation, m.Renewal = &r.ClientCount, &r.Activation, &r.Renewal
	return m
}

// fileTime writes a FILETIME, 100 ns since 1601, as RFC 3339; "" if it is no
// time of this era.
func fileTime(t uint64) string {
	const epoch = 116444736000000000 // of Unix
	if t < epoch || t > 1<<62 {
		return ""
	}
	t -= epoch
	return time.Unix(int64(t/1e7), int64(t%1e7)*100).UTC().Format(time.RFC3339Nano)
}

func newDNSMessage(d *dns.Message) *dnsMessage {
	m := &dnsMessage{
		ID: d.ID, Response: d.Response, Opcode: "query", Name: d.Name, CNAMEs: d.CNAMEs, Signed: d.Signed,
	}
	if d.Type != 0 { // an answer to an UPDATE may be without its zone
		m.Type = dns.TypeName(d.Type)
	}
	if d.Opcode == 5 {
		m.Opcode = "update"
	}
	if d.Response {
		m.RCode = dns.RCodeName(d.RCode)
	}
	for _, r := range d.SRV {
		m.SRV = append(m.SRV, srvMessage{
			Name: r.Name, Change: r.Change.String(), TTL: r.TTL, Priority: r.Priority, Weight: r.Weight,
			Port: r.Port, Target: r.Target, Addresses: r.Addresses, Compressed: r.Compressed,
		})
	}
	return m
}

type kerberosMessage struct {
	Type        string         `json:"type"` // AS-REQ, KRB-ERROR, ...
	Realm       string         `json:"realm,omitempty"`
	Client      string         `json:"client,omitempty"`
	ClientRealm string         `json:"client_realm,omitempty"`
	Service     string         `json:"service,omitempty"`
	ETypes      []int32        `json:"encryption_types,omitempty"`
	TicketEType *int32         `json:"ticket_encryption_type,omitempty"`
	Error       *statusMessage `json:"error,omitempty"`
}

func newKerberosMessage(k *kerberos.Message) *kerberosMessage {
	m := &kerberosMessage{
		Type: k.Type.String(), Realm: k.Realm, Client: k.Client, ClientRealm: k.ClientRealm, Service: k.Service,
		ETypes: k.AskedETypes(),
	}
	if k.Ticket.Present {
		m.TicketEType = &k.Ticket.EType
	}
	if k.Type == kerberos.Error {
		m.Error = &statusMessage{uint32(k.ErrorCode), kerberos.ErrorName(k.ErrorCode)}
	}
	return m
}
