package emit

import (
	"math/rand/v2"
	"strings"
)

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func letters(r *rand.Rand, n int, from string) string {
	var b strings.Builder
	for range n {
		b.WriteByte(from[r.IntN(len(from))])
	}
	return b.String()
}

// careless returns a log message in which somebody let something slip that has
// no place in a log: the shape is right, the value is random.
func careless(r *rand.Rand, fillIn func(string) string) string {
	switch r.IntN(6) {
	case 0:
		return "retrying webhook, Authorization: Bearer " + "sk-proj-" + letters(r, 40, alphanumeric)
	case 1:
		return fillIn("could not notify {email}, will call {phone}")
	case 2:
		return "export to s3 failed with access key " + "AKIA" + letters(r, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
	case 3:
		return "session restored from " + strings.Join([]string{
			"eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiJ1c2VyIn0" + letters(r, 12, alphanumeric), letters(r, 43, alphanumeric),
		}, ".")
	case 4:
		return "crm sync: connect postgres://crm:" + letters(r, 14, alphanumeric) + "@10.20.0.7:5432/crm refused"
	default:
		return fillIn("payment of {amount} declined for {name}, card " + testCard(r))
	}
}

// testCard makes a number that passes the Luhn check, in a range that is never issued.
func testCard(r *rand.Rand) string {
	digits := []byte("4000000000000000")
	for i := 6; i < 15; i++ {
		digits[i] = byte('0' + r.IntN(10))
	}
	sum := 0
	for i := range 15 {
		d := int(digits[i] - '0')
		if i%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	digits[15] = byte('0' + (10-sum%10)%10)
	return string(digits)
}
