package redact

import "testing"

func TestWhatNamesMean(t *testing.T) {
	for want, names := range map[meaning][]string{
		meansPassword: {"password", "DB_PASSWORD", "userPasswd", "smtp.pwd", "passphrase", "pass-code"},
		meansSecret: {
			"secret", "client_secret", "apiKey", "X-Api-Key", "OPENAI_API_KEY", "aws_secret_access_key", "private-key", "accountKey",
			"access_token", "refreshToken", "db_pass", "credentials", "credential", "basic_auth",
		},
		meansMaybe:  {"token", "csrf_token", "key", "sig", "signature", "auth", "auth_code"},
		meansAuth:   {"Authorization", "proxy-authorization", "http.request.header.authorization"},
		meansCookie: {"Cookie", "set-cookie"},
		meansPhone:  {"phone", "user_phone", "telephone", "tel", "cell", "mobile", "msisdn", "fax", "phoneNumber", "phone_no", "whatsapp"},
		meansCard:   {"card", "card_number", "cardNo", "credit-card", "pan", "ccNumber"},
		meansNational: {
			"bsn", "burgerservicenummer", "nino", "cpf", "pesel", "steuerId", "dni", "nie", "nif", "codice_fiscale", "aadhaar", "nir",
		},
		meansSSN:  {"ssn", "social_security", "socialSecurityNumber", "national_id", "tax-id"},
		meansCode: {"otp", "totp", "cvv", "card.cvc"},
		meansNothing: {
			"", "x", "tokens", "input_tokens", "max_tokens", "passed", "bypass", "compass", "monkey", "cache_key", "public_key", "primary_key",
			"author", "authority", "hotel", "excel", "company", "secretary", "request_id", "trace_id", "user_id", "level", "msg", "prompt", "model", "ts",
		},
	} {
		for _, name := range names {
			if got := means(name); got != want {
				t.Errorf("%q means %d, want %d", name, got, want)
			}
		}
	}
}

func TestWhichNamesHoldIdentifiers(t *testing.T) {
	for name, want := range map[string]bool{
		"id": true, "request_id": true, "requestId": true, "traceID": true, "gen_ai.response.id": true, "user": true, "offset": true,
		"ts": true, "uuid": true, "ORDER_ID": true, "": false, "note": false, "message": false, "text": false, "amount": false, "paid": false,
	} {
		if got := isIDName(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}
