package bpf

//go:generate go tool bpf2go -tags linux -cc clang-19 -target bpfel,bpfeb flowfilter flowfilter.bpf.c -- -O2 -mcpu=v3 -Wall -Wextra -Werror -Wno-sign-compare
