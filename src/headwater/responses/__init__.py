"""What a server's answer means: an error or a result, in which words, and when to ask again.

refusal       whether an answer is an error, and the error that it is; its page has the table
classify      which class of error, by the status and the codes in a body
message       the server's own words, out of every shape in which servers put them
retry_after   when to come back; rate_limit: what the limits' headers tell
decode        whole answers as typed results, by json_decoder: strictly, else as far as they can be read
"""
