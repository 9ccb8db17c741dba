package decode

// Guess is guess, for tests.
var Guess = guess
