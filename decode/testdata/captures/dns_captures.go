package captures

func dnsCaptures() []Capture { return nil }
