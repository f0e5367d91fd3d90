-- Puts up to ARGV[1] messages of one list before those of another. KEYS: from, to. Answers how many.
if redis.call('EXISTS', KEYS[2]) == 0 then
    local length = redis.call('LLEN', KEYS[1])
    if length > 0 then redis.call('RENAME', KEYS[1], KEYS[2]) end
    return length
end
for i = 1, tonumber(ARGV[1]) do
    local message = redis.call('LPOP', KEYS[1])
    if not message then return i - 1 end
    redis.call('RPUSH', KEYS[2], message)
end
return tonumber(ARGV[1])
