package redact

import "strings"

// digit looks at the run of digits that starts at i.
func (sc *scanner) digit(i int) {
	s := sc.s
	j := digits(s, i+1)
	sc.i = j
	n := j - i
	if i > 0 && isAlnum(s[i-1]) && !escaped(s, i) {
		sc.inWord(i, j)
		return
	}
	switch {
	case n <= 3:
		if j < len(s) && s[j] == '.' && sc.ipv4(i, j) {
			return
		}
		if n == 3 && j+8 <= len(s) {
			_ = sc.groups(i, "3-2-4", kindNational, validSSN) ||
				sc.groups(i, "3.3.3-2", kindNational, validCPF) ||
				sc.groups(i, "3-3-4", kindPhone, validNANP) ||
				sc.groups(i, "3.3.4", kindPhone, validNANP) ||
				sc.groups(i, "3)3-4", kindPhone, validNANP) ||
				sc.groups(i, "3) 3-4", kindPhone, validNANP)
		}
		if n == 1 && s[i] == '1' && j+13 <= len(s) {
			_ = sc.groups(i, "1-3-3-4", kindPhone, validNANP) || sc.groups(i, "1 (3) 3-4", kindPhone, validNANP)
		}
		if n == 1 && j+20 <= len(s) && (s[i] == '1' || s[i] == '2') {
			_ = sc.groups(i, "1 2 2 2 3 3 2", kindNational, validNIR)
		}
	case n == 4:
		if j >= len(s) || s[j] != ' ' && s[j] != '-' {
			return
		}
		_ = sc.groups(i, "4 4 4 4", kindCard, validCard) ||
			sc.groups(i, "4-4-4-4", kindCard, validCard) ||
			sc.groups(i, "4 6 5", kindCard, validCard) ||
			sc.groups(i, "4-6-5", kindCard, validCard) ||
			sc.groups(i, "4 4 4", kindNational, validAadhaar) ||
			sc.groups(i, "4-4-4", kindNational, validAadhaar)
	case n == 6:
		_ = sc.groups(i, "6-7", kindNational, validRRN)
	case n == 8 && j < len(s) && isUpper(s[j]):
		sc.bare(i, j+1, kindNational, validDNI)
	case n == 17 && j < len(s) && (s[j] == 'X' || s[j] == 'x'):
		sc.bare(i, j+1, kindNational, validRIC)
	case n == 18:
		sc.bare(i, j, kindNational, validRIC)
	case n >= 14 && n <= 16:
		if !sc.bare(i, j, kindCard, validCard) && n == 15 {
			sc.bare(i, j, kindNational, validNIR)
		}
	}
}

// inWord looks at digits that follow letters: IBAN, Codice Fiscale, NIE, Google's ya29 tokens.
func (sc *scanner) inWord(i, j int) {
	s := sc.s
	before := s[max(sc.floor, i-6):i]
	switch {
	case strings.HasSuffix(before, "ya") && s[i:j] == "29" && j < len(s) && s[j] == '.':
		sc.key(i-2, j+1, cBase64URL, 20, 0, false)
	case len(before) >= 2 && j-i >= 2 && isUpper(before[len(before)-1]) && isUpper(before[len(before)-2]) && starts(s, i-2):
		sc.iban(i - 2)
	case !sc.id && j-i == 2 && len(before) == 6 && isUpper(before[0]) && starts(s, i-6) && i+10 <= len(s) && ends(s, i+10) && validCF(s[i-6:i+10]):
		sc.add(i-6, i+10, kindNational)
	case j-i == 7 && len(before) >= 1 && before[len(before)-1] >= 'X' && before[len(before)-1] <= 'Z' && j < len(s):
		sc.bare(i-1, j+1, kindNational, validDNI)
	}
}

// bare takes a number without separators, unless it is part of a longer token
// or stands behind the name of an identifier.
func (sc *scanner) bare(start, end int, k kind, valid func(string) bool) bool {
	s := sc.s
	if sc.id || start < sc.floor || end > len(s) || !valid(s[start:end]) || !alone(s, start, end) {
		return false
	}
	if name := sc.nameBefore(start); isIDName(name) {
		return false
	}
	sc.add(start, end, k)
	return true
}

// alone tells whether s[start:end] is a token of its own: not joined to letters
// or digits, not directly and not by one of the characters that join identifiers.
func alone(s string, start, end int) bool {
	if !starts(s, start) || !ends(s, end) {
		return false
	}
	if start >= 2 && joins(s[start-1]) && isAlnum(s[start-2]) {
		return false
	}
	return end+1 >= len(s) || !joins(s[end]) || !isAlnum(s[end+1])
}

func joins(c byte) bool { return c == '-' || c == '_' || c == '.' || c == '/' || c == '+' }

// groups takes digits in the written form of a layout like "3-2-4".
func (sc *scanner) groups(start int, layout string, k kind, valid func(string) bool) bool {
	if sc.id {
		return false
	}
	s := sc.s
	var buf [24]byte
	n, i := 0, start
	for l := range len(layout) {
		c := layout[l]
		if !isDigit(c) {
			if i >= len(s) || s[i] != c {
				return false
			}
			i++
			continue
		}
		for range c - '0' {
			if i >= len(s) || !isDigit(s[i]) {
				return false
			}
			buf[n] = s[i]
			n++
			i++
		}
	}
	if i < len(s) && isAlnum(s[i]) || !valid(string(buf[:n])) {
		return false
	}
	if c := layout[1]; c == '-' || c == '.' {
		if !alone(s, start, i) {
			return false
		}
	} else if k != kindCard && start >= 2 && s[start-1] == c && isDigit(s[start-2]) { // the middle of a row of numbers
		return false
	}
	if start > 0 && s[start-1] == '(' && strings.IndexByte(layout, ')') >= 0 {
		start--
	}
	if start < sc.floor {
		return false
	}
	if k != kindPhone && layout[1] != ' ' { // no ID is written in groups with spaces
		if name := sc.nameBefore(start); isIDName(name) {
			return false
		}
	}
	sc.add(start, i, k)
	return true
}

// phone takes an international number that starts with the plus at i.
func (sc *scanner) phone(i int) {
	s := sc.s
	if i+8 > len(s) || s[i+1] < '1' || s[i+1] > '9' || i > 0 && isAlnum(s[i-1]) && !escaped(s, i) {
		return
	}
	most := 13
	if s[i+1] == '1' {
		most = 11
	}
	end, n, groups := phoneEnd(s, i+1, most)
	if n < 8 || n > 15 || groups == 1 && n < 10 || s[i+1] == '1' && n != 11 || !ends(s, end) {
		return
	}
	if end+1 < len(s) && (s[end] == '.' || s[end] == ':') && isDigit(s[end+1]) {
		return
	}
	sc.add(i, end, kindPhone)
}

// phoneEnd reads digits in groups, of which it takes no more than most digits
// when there are several; it returns their end, number and groups.
func phoneEnd(s string, i, most int) (end, n, groups int) {
	end = i
	for i < len(s) && i-end <= 2 {
		if isDigit(s[i]) {
			j := digits(s[:min(len(s), i+32)], i)
			if groups > 0 && n+j-i > most {
				break
			}
			n += j - i
			groups++
			i, end = j, j
			continue
		}
		switch s[i] {
		case ' ', '-', '.', '(', ')', '/':
			i++
		default:
			return end, n, groups
		}
	}
	return end, n, groups
}

// iban takes the account number that starts at i, written in one piece or in groups of four.
func (sc *scanner) iban(i int) {
	s := sc.s
	want := ibanLength(s[i : i+2])
	if want == 0 || i < sc.floor {
		return
	}
	var buf [34]byte
	n, j := 0, i
	for j < len(s) && n < want {
		c := s[j]
		switch {
		case isDigit(c) || isUpper(c):
			buf[n] = c
			n++
		case c == ' ' && n%4 == 0:
		default:
			return
		}
		j++
	}
	if n < want || !ends(s, j) || !validIBAN(buf[:n]) {
		return
	}
	sc.add(i, j, kindIBAN)
}
