package state

// Kinds are all there are, in the order somebody listed them.
type Kinds []*Kind

// CommonProvider is the provider whose kinds every stage and plugin node may have besides its own.
const CommonProvider = "registry"

// For finds the kind of an object by its address; nil when there is none.
func (ks Kinds) For(a Addr) *Kind {
	own := ProviderOf(a.Node)
	for _, k := range ks {
		if k.Name == a.Kind && k.Provider == own {
			return k
		}
	}
	for _, k := range ks {
		if k.Name == a.Kind && k.Provider == CommonProvider {
			return k
		}
	}
	return nil
}

// Of lists the kinds of a provider.
func (ks Kinds) Of(provider string) Kinds {
	var of Kinds
	for _, k := range ks {
		if k.Provider == provider {
			of = append(of, k)
		}
	}
	return of
}

// Discoverer finds what services there are; nil where no kind does.
func (ks Kinds) Discoverer() Discoverer {
	for _, k := range ks {
		if k.Discoverer != nil {
			return k.Discoverer
		}
	}
	return nil
}

// ForNode finds the kind whose value is the node block's own attributes: the one called like the node's type, of the provider of
// such nodes; a plugin may have a kind of that name too.
func (ks Kinds) ForNode(nodeType string) *Kind {
	provider := CommonProvider
	if nodeType != PluginNode {
		provider = ProviderOf(NodeAddr{Type: nodeType})
	}
	for _, k := range ks {
		if k.Name == nodeType && k.Provider == provider {
			return k
		}
	}
	return nil
}

// Expanders are the kinds that a node's objects are expanded by: that of its type, and those of the provider of its objects.
func (ks Kinds) Expanders(n NodeAddr) (all Kinds) {
	self := ks.ForNode(n.Type)
	if self != nil {
		all = append(all, self)
	}
	for _, k := range ks.Of(ProviderOf(n)) {
		if k != self && k.expand != nil {
			all = append(all, k)
		}
	}
	return all
}

// ProviderOf is the provider whose kinds a node's objects are: stage for stages, net for networks, and for plugins the
// one of the plugin's name.
func ProviderOf(n NodeAddr) string {
	switch n.Type {
	case StageNode:
		return "stage"
	case NetworkNode:
		return "net"
	}
	return n.Name
}
