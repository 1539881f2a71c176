// Command rollcall-drill is a simulated LLM support assistant with its own
// metric and log servers, for practising with the rollcall console.
package main
