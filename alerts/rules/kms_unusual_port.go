package rules

import (
	"strconv"

	"kmswatch/alerts"
	"kmswatch/alerts/inventory"
	"kmswatch/decode"
)

// kmsUnusualPort finds KMS on ports that the inventory does not name for the
// host: on other ports than 1688, where it names none or does not know the
// host.
type kmsUnusualPort struct{}

func (kmsUnusualPort) Info() alerts.Info {
	return alerts.Info{
		ID:       "kms-unusual-port",
		Title:    "KMS on a port that is not named for it",
		Severity: alerts.Medium,
		Why: "Rules of firewalls and sensors that go by the port do not see this service: " +
			"it was moved out of their sight, or stands where nobody planned it.",
		Mitigation: "Serve KMS on its port, 1688, or name the host and its ports under inventory.kms_hosts. " +
			"If the host is not meant to serve KMS, stop the service.",
		Techniques: []alerts.Technique{nonStandardPort},
		Kinds:      []decode.Kind{decode.KindBind, decode.KindKMSExchange},
	}
}

func (kmsUnusualPort) Evaluate(c *alerts.Context, e decode.Event) {
	if c.Inventory.IsKMSPort(c.Server.Addr, c.Server.Port) || !serves(e) {
		return
	}
	port := strconv.Itoa(int(c.Server.Port))
	h, known := c.Inventory.KMSHost(c.Server.Addr)
	severity := alerts.Medium
	if unconfigured(c) {
		severity = alerts.Low
	}
	f := c.Raise(alerts.Fold{By: alerts.ServerAlone, Key: port, Severity: severity})
	if f == nil {
		return
	}
	f.Say("%s on port %s, which is not its KMS port", serving(c, e), port)
	f.Add("port", c.Server.Port)
	expected := []string{strconv.Itoa(int(inventory.DefaultPort))}
	if known {
		hostFacts(f, h)
		if len(h.Ports) > 0 {
			expected = expected[:0]
			for _, p := range h.Ports {
				expected = append(expected, strconv.Itoa(int(p)))
			}
		}
	}
	f.Add("expected_ports", expected)
	kmsFacts(f, e)
}
