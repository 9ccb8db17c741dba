package captures

func tcpCaptures() []Capture { return nil }
