-- Gives deliveries out again. KEYS: the hash of deliveries, their index, then the lists. ARGV: for each delivery its tag,
-- what the hash holds, the number of its list and the message to give out. Answers 1 for each that was still there.
local done = {}
for i = 1, #ARGV, 4 do
    local there = redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1]
    if there then
        redis.call('HDEL', KEYS[1], ARGV[i])
        redis.call('ZREM', KEYS[2], ARGV[i])
        redis.call('RPUSH', KEYS[2 + tonumber(ARGV[i + 2])], ARGV[i + 3])
    end
    done[#done + 1] = there and 1 or 0
end
return done
