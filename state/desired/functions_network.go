package desired

import (
	"errors"
	"fmt"
	"math/big"
	"net"

	"github.com/apparentlymart/go-cidr/cidr"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

func networkFunctions() map[string]function.Function {
	return map[string]function.Function{
		"cidrhost":    cidrFunction([]string{"hostnum"}, cidrHost),
		"cidrnetmask": cidrFunction(nil, cidrNetmask),
		"cidrsubnet":  cidrFunction([]string{"newbits", "netnum"}, cidrSubnet),
		"cidrsubnets": cidrSubnetsFunction(),
	}
}

// cidrFunction makes a function of a prefix and whole numbers.
func cidrFunction(numbers []string, f func(prefix *net.IPNet, n []*big.Int) (string, error)) function.Function {
	params := []function.Parameter{stringParam("prefix")}
	for _, name := range numbers {
		params = append(params, function.Parameter{Name: name, Type: cty.Number})
	}
	return function.New(&function.Spec{
		Params: params,
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			_, prefix, err := net.ParseCIDR(args[0].AsString())
			if err != nil {
				return cty.UnknownVal(cty.String), function.NewArgErrorf(0, "%q is no network in CIDR notation, such as 10.0.0.0/8", args[0].AsString())
			}
			var ns []*big.Int
			for i, a := range args[1:] {
				n, accuracy := a.AsBigFloat().Int(nil)
				if n == nil || accuracy != big.Exact || n.BitLen() > 128 {
					return cty.UnknownVal(cty.String), function.NewArgErrorf(i+1, "a whole number is required")
				}
				ns = append(ns, n)
			}
			s, err := f(prefix, ns)
			if err != nil {
				return cty.UnknownVal(cty.String), err
			}
			return cty.StringVal(s), nil
		},
	})
}

func cidrHost(prefix *net.IPNet, n []*big.Int) (string, error) {
	ip, err := cidr.HostBig(prefix, n[0])
	if err != nil {
		return "", err
	}
	return ip.String(), nil
}

func cidrNetmask(prefix *net.IPNet, _ []*big.Int) (string, error) {
	if prefix.IP.To4() == nil {
		return "", errors.New("IPv6 has no netmask")
	}
	return net.IP(prefix.Mask).String(), nil
}

func cidrSubnet(prefix *net.IPNet, n []*big.Int) (string, error) {
	if err := newBits(prefix, n[0]); err != nil {
		return "", err
	}
	if n[1].Sign() < 0 {
		return "", errors.New("the number of a subnet must not be negative")
	}
	subnet, err := cidr.SubnetBig(prefix, int(n[0].Int64()), n[1])
	if err != nil {
		return "", err
	}
	return subnet.String(), nil
}

func newBits(prefix *net.IPNet, n *big.Int) error {
	ones, bits := prefix.Mask.Size()
	if n.Sign() < 0 || n.Cmp(big.NewInt(int64(bits-ones))) > 0 {
		return fmt.Errorf("a prefix of %d bits cannot be extended by %s", ones, n)
	}
	return nil
}

// cidrSubnetsFunction gives consecutive subnets, each extended by the bits said.
func cidrSubnetsFunction() function.Function {
	return function.New(&function.Spec{
		Params:   []function.Parameter{stringParam("prefix")},
		VarParam: &function.Parameter{Name: "newbits", Type: cty.Number},
		Type:     function.StaticReturnType(cty.List(cty.String)),
		Impl: func(args []cty.Value, t cty.Type) (cty.Value, error) {
			_, prefix, err := net.ParseCIDR(args[0].AsString())
			if err != nil {
				return cty.UnknownVal(t), function.NewArgErrorf(0, "%q is no network in CIDR notation, such as 10.0.0.0/8", args[0].AsString())
			}
			ones, _ := prefix.Mask.Size()
			var current *net.IPNet
			var subnets []string
			for i, a := range args[1:] {
				n, accuracy := a.AsBigFloat().Int(nil)
				if n == nil || accuracy != big.Exact || n.Sign() <= 0 {
					return cty.UnknownVal(t), function.NewArgErrorf(i+1, "a whole number of at least 1 is required")
				}
				if err := newBits(prefix, n); err != nil {
					return cty.UnknownVal(t), function.NewArgError(i+1, err)
				}
				length := ones + int(n.Int64())
				if current == nil {
					current, _ = cidr.PreviousSubnet(prefix, length)
				}
				next, over := cidr.NextSubnet(current, length)
				if over || !prefix.Contains(next.IP) {
					return cty.UnknownVal(t), function.NewArgErrorf(i+1, "there is no room left in %s for a subnet of %d bits", prefix, length)
				}
				current = next
				subnets = append(subnets, next.String())
			}
			return stringList(subnets), nil
		},
	})
}
