package state

import "context"

// A Discoverer finds what services there are on the host's bus, and what these offer.
type Discoverer interface {
	// Discover looks at services. It changes nothing, and starts no service unless it is told to. What could not be found out about a
	// service is told by its Problem.
	Discover(ctx context.Context, look Look) ([]Service, error)
}

type withoutStarting struct{}

// WithoutStarting has those who read with the context start no service for it. One that does not run is a NotRunningError.
func WithoutStarting(ctx context.Context) context.Context {
	return context.WithValue(ctx, withoutStarting{}, true)
}

// MayStart says whether a service may be started for what is done with the context.
func MayStart(ctx context.Context) bool { return ctx.Value(withoutStarting{}) == nil }

// A NotRunningError says that a service could not be asked because it does not run and was not to be started.
type NotRunningError struct {
	Service   string
	Startable bool // the bus can start it
}

func (e *NotRunningError) Error() string { return e.Service + " does not run" }

// A Look says which services are looked at, and how closely.
type Look struct {
	Services []string // nil: all that run or can be started
	Activate bool     // start those that do not run
	Values   bool     // read properties, too
}

// A Service is a name on the bus, and what is found below it.
type Service struct {
	Name        string          `json:"name"`
	Running     bool            `json:"running"`
	Activatable bool            `json:"activatable"`
	Owner       string          `json:"owner,omitempty"` // its unique name on the bus, while it runs
	Reserved    bool            `json:"reserved,omitempty"`
	Objects     []ServiceObject `json:"objects,omitempty"` // in the order of their paths
	Problem     string          `json:"problem,omitempty"` // why this is not all there is
}

// Key is the service's name.
func (s Service) Key() string { return s.Name }

// Interfaces counts the interfaces that the service has, each once.
func (s Service) Interfaces() int {
	seen := map[string]bool{}
	for _, o := range s.Objects {
		for _, i := range o.Interfaces {
			seen[i.Name] = true
		}
	}
	return len(seen)
}

// A ServiceObject is one that a service has.
type ServiceObject struct {
	Path       string             `json:"path"`
	Interfaces []ServiceInterface `json:"interfaces"`
}

// Key is the object's path.
func (o ServiceObject) Key() string { return o.Path }

// A ServiceInterface is one that an object has. Types are signatures as the D-Bus Specification has them.
type ServiceInterface struct {
	Name       string            `json:"name"`
	Properties []ServiceProperty `json:"properties,omitempty"`
	Methods    []ServiceMethod   `json:"methods,omitempty"`
	Signals    []ServiceSignal   `json:"signals,omitempty"`
}

// A ServiceProperty is one of an interface.
type ServiceProperty struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Access string `json:"access"` // read, write or readwrite
	// Value is its value where it was asked for and could be read.
	Value any `json:"value,omitempty"`
}

// A ServiceMethod is one of an interface.
type ServiceMethod struct {
	Name string `json:"name"`
	In   string `json:"in,omitempty"`
	Out  string `json:"out,omitempty"`
}

// A ServiceSignal is one of an interface.
type ServiceSignal struct {
	Name string `json:"name"`
	Type string `json:"type,omitempty"`
}
