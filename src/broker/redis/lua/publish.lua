-- Puts a task into a list, once. KEYS: the marker, the list. ARGV: seconds the marker lives, the message.
if redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[1]) then redis.call('LPUSH', KEYS[2], ARGV[2]) end
return 1
