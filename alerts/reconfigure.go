package alerts

import "kmswatch/alerts/zone"

// Reconfigure has the evaluator go on with another configuration: c.Rules,
// Settings, Zones, Inventory, Window and Sensor take the place of those before,
// the rest of c is not looked at. With an error, which is as that of New, nothing has
// changed. It is for between two events.
//
// What was learnt stays. A rule that was on and is on remembers what it saw;
// c.Rules gives those that were not. The Inventory may be the same, changed by
// its own Reconfigure. An alert that stands goes on counting until its window
// ends, with the severity it has, and what is folded into it is judged by the
// new zones; it ends at once if its rule is off now, or a zone of its parties
// is no more.
func (v *Evaluator) Reconfigure(c Config) error {
	c.setDefaults()
	before := make(map[string]*active, len(v.rules))
	for i := range v.rules {
		before[v.rules[i].info.ID] = &v.rules[i]
	}
	rules := make([]Rule, len(c.Rules))
	for i, r := range c.Rules {
		rules[i] = r
		if a := before[r.Info().ID]; a != nil {
			rules[i] = a.rule
		}
	}
	c.Rules = rules
	actives, err := activateAll(&c)
	if err != nil {
		return err
	}
	v.config.Rules, v.config.Settings, v.config.Window = c.Rules, c.Settings, c.Window
	v.config.Zones, v.config.Inventory, v.config.Sensor = c.Zones, c.Inventory, c.Sensor
	v.use(actives)

	on := make(map[string]*active, len(v.rules))
	for i := range v.rules {
		on[v.rules[i].info.ID] = &v.rules[i]
	}
	// The heap keeps its order: what ends first does not change.
	var over []*standing
	by := make(map[key]*standing, len(v.table.by))
	for _, a := range v.table.inOrder() {
		k := a.key
		k.rule = on[k.rule.info.ID]
		var known [2]bool
		k.from, known[0] = sameZone(c.Zones, k.from)
		k.to, known[1] = sameZone(c.Zones, k.to)
		if k.rule == nil || !known[0] || !known[1] {
			over = append(over, a)
			continue
		}
		a.key, a.Rule = k, &k.rule.info
		by[k] = a
	}
	for _, a := range over {
		v.end(a)
	}
	v.table.by = by
	return nil
}

// sameZone gives the zone of that name in another table. None is known.
func sameZone(t *zone.Table, z *zone.Zone) (same *zone.Zone, known bool) {
	if z == nil {
		return nil, true
	}
	same = t.Zone(z.Name)
	return same, same != nil
}
