package captures

func linkCaptures() []Capture { return nil }
