package redact

import "strings"

func luhn(s string) bool {
	sum := 0
	for i := range len(s) {
		d := int(s[len(s)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// number reads the first n digits.
func number(s string, n int) (v int) {
	for i := range n {
		v = v*10 + int(s[i]-'0')
	}
	return v
}

// validCard wants an issuer's prefix, the length that goes with it, and the checksum.
func validCard(s string) bool {
	if len(s) < 14 {
		return false
	}
	two, three, four := number(s, 2), number(s, 3), number(s, 4)
	var ok bool
	switch len(s) {
	case 14: // Diners Club
		ok = two == 36 || two == 38 || two == 39 || three >= 300 && three <= 305
	case 15: // American Express
		ok = two == 34 || two == 37
	case 16: // Visa, Mastercard, Discover, JCB, UnionPay
		ok = s[0] == '4' || two >= 51 && two <= 55 || four >= 2221 && four <= 2720 ||
			four == 6011 || three >= 644 && three <= 649 || two == 65 || four >= 3528 && four <= 3589 || two == 62
	}
	return ok && luhn(s)
}

// validSSN follows the rules of the US Social Security Administration; the number has no checksum.
func validSSN(s string) bool {
	if len(s) != 9 {
		return false
	}
	area := number(s, 3)
	return area != 0 && area != 666 && area < 900 && s[3:5] != "00" && s[5:] != "0000" && s != "123456789"
}

// validNANP checks area code and exchange of a number of the North American plan.
func validNANP(s string) bool {
	if len(s) == 11 && s[0] == '1' {
		s = s[1:]
	}
	return len(s) == 10 && s[0] >= '2' && s[3] >= '2' && s[1:3] != "11" && s[4:6] != "11"
}

// validCPF: Brazil, two check digits.
func validCPF(s string) bool {
	if len(s) != 11 || strings.Count(s, s[:1]) == 11 {
		return false
	}
	for n := 9; n <= 10; n++ {
		sum := 0
		for i := range n {
			sum += int(s[i]-'0') * (n + 1 - i)
		}
		if int(s[n]-'0') != sum*10%11%10 {
			return false
		}
	}
	return true
}

// validDNI: Spain, DNI and NIE with their check letter.
func validDNI(s string) bool {
	if len(s) != 9 {
		return false
	}
	n := 0
	for i := range 8 {
		c := s[i]
		switch {
		case isDigit(c):
			n = n*10 + int(c-'0')
		case i == 0 && c >= 'X' && c <= 'Z':
			n = int(c - 'X')
		default:
			return false
		}
	}
	return s[8] == "TRWAGMYFPDXBNJZSQVHLCKE"[n%23]
}

// validCF: Italy, Codice Fiscale with its check letter.
func validCF(s string) bool {
	if len(s) != 16 {
		return false
	}
	const (
		layout = "AAAAAA00A00A000A"
		odd    = "\x01\x00\x05\x07\x09\x0d\x0f\x11\x13\x15\x02\x04\x12\x14\x0b\x03\x06\x08\x0c\x0e\x10\x0a\x16\x19\x18\x17"
	)
	sum := 0
	for i := range 16 {
		c := s[i]
		var v int
		switch {
		case layout[i] == 'A' && isUpper(c):
			v = int(c - 'A')
		case layout[i] == '0' && isDigit(c):
			v = int(c - '0')
		default:
			return false
		}
		switch {
		case i == 15:
			return v == sum%26
		case i%2 == 0:
			sum += int(odd[v])
		default:
			sum += v
		}
	}
	return false
}

// validBSN: Netherlands, the eleven test.
func validBSN(s string) bool {
	if len(s) != 9 || s == "000000000" {
		return false
	}
	sum := -int(s[8] - '0')
	for i := range 8 {
		sum += int(s[i]-'0') * (9 - i)
	}
	return sum%11 == 0
}

// validNIR: France, 13 digits and a key modulo 97, with a month in it.
func validNIR(s string) bool {
	if len(s) != 15 || s[0] != '1' && s[0] != '2' {
		return false
	}
	month := number(s[3:], 2)
	if month < 1 || month > 12 && month < 20 {
		return false
	}
	return 97-number(s, 13)%97 == number(s[13:], 2)
}

// validSteuerID: Germany, ISO 7064 MOD 11,10.
func validSteuerID(s string) bool {
	if len(s) != 11 || s[0] == '0' {
		return false
	}
	p := 10
	for i := range 10 {
		sum := (int(s[i]-'0') + p) % 10
		if sum == 0 {
			sum = 10
		}
		p = sum * 2 % 11
	}
	return (11-p)%10 == int(s[10]-'0')
}

// validPESEL: Poland, weights 1 3 7 9.
func validPESEL(s string) bool {
	if len(s) != 11 || strings.Count(s, s[:1]) == 11 {
		return false
	}
	sum := 0
	for i := range 10 {
		sum += int(s[i]-'0') * int("1379137913"[i]-'0')
	}
	return (10-sum%10)%10 == int(s[10]-'0')
}

// validAadhaar: India, Verhoeff.
func validAadhaar(s string) bool {
	if len(s) != 12 || s[0] < '2' {
		return false
	}
	const (
		d = "0123456789123406789523401789563401289567401239567859876043216598710432765982104387659321049876543210"
		p = "01234567891576283094580379614289160435279453126870428657390127938064157046913258"
	)
	c := byte(0)
	for i := range 12 {
		digit := s[11-i] - '0'
		perm := p[i%8*10+int(digit)] - '0'
		c = d[int(c)*10+int(perm)] - '0'
	}
	return c == 0
}

// validRIC: China, resident identity number, ISO 7064 MOD 11-2 and a date of birth.
func validRIC(s string) bool {
	if len(s) != 18 || !date(s[6:14]) || number(s, 2) < 11 {
		return false
	}
	sum := 0
	for i := range 17 {
		weight := 1
		for range 17 - i {
			weight = weight * 2 % 11
		}
		sum += int(s[i]-'0') * weight
	}
	check := "10X98765432"[sum%11]
	return s[17] == check || check == 'X' && s[17] == 'x'
}

// validRRN: South Korea, date of birth and check digit.
func validRRN(s string) bool {
	if len(s) != 13 || s[6] < '1' || s[6] > '8' {
		return false
	}
	month, day := number(s[2:], 2), number(s[4:], 2)
	if month < 1 || month > 12 || day < 1 || day > 31 {
		return false
	}
	sum := 0
	for i := range 12 {
		sum += int(s[i]-'0') * int("234567892345"[i]-'0')
	}
	return (11-sum%11)%10 == int(s[12]-'0')
}

// validNINO: United Kingdom; no checksum, so it counts only behind a name or in groups.
func validNINO(s string) bool {
	s = strings.ReplaceAll(s, " ", "")
	if len(s) != 9 || !isUpper(s[0]) || !isUpper(s[1]) || s[8] < 'A' || s[8] > 'D' ||
		strings.IndexByte("DFIQUV", s[0]) >= 0 || strings.IndexByte("DFIQUVO", s[1]) >= 0 {
		return false
	}
	switch s[:2] {
	case "BG", "GB", "NK", "KN", "TN", "NT", "ZZ":
		return false
	}
	return digits(s, 2) == 8
}

// date tells whether YYYYMMDD is one on which somebody alive may be born.
func date(s string) bool {
	year, month, day := number(s, 4), number(s[4:], 2), number(s[6:], 2)
	return year >= 1900 && year < 2100 && month >= 1 && month <= 12 && day >= 1 && day <= 31
}

func validIBAN(b []byte) bool {
	rest := 0
	add := func(part []byte) {
		for _, c := range part {
			if isDigit(c) {
				rest = (rest*10 + int(c-'0')) % 97
			} else {
				rest = (rest*100 + int(c-'A') + 10) % 97
			}
		}
	}
	add(b[4:])
	add(b[:4])
	return rest == 1
}

// ibanLength is the length of a country's account numbers, or 0.
func ibanLength(country string) int {
	const table = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27" +
		"GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24" +
		"ME22MK19MR27MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TL23TN24TR26" +
		"UA29VA22VG24XK20BI27DJ27FK18LY25MN20NI28OM23RU33SD18SO23"
	for i := 0; i+4 <= len(table); i += 4 {
		if table[i:i+2] == country {
			return number(table[i+2:], 2)
		}
	}
	return 0
}
