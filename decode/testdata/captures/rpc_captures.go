package captures

func rpcCaptures() []Capture { return nil }
