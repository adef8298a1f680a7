"""The REST door and the credentials of both: parse, authorise, call one service, answer."""
