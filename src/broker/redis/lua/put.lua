-- Puts a piece of messages into lists, once. KEYS: the marker, then the lists. ARGV: seconds the marker lives, the piece's
-- first number, then for each message the number of its list and its bytes. Answers how many were put.
local from, n = tonumber(ARGV[2]), (#ARGV - 2) / 2
-- Pieces before this one may have been left out.
local at = math.max(tonumber(redis.call('GET', KEYS[1]) or from), from)
if at >= from + n then return 0 end
local put = 0
for i = at - from, n - 1 do
    redis.call('LPUSH', KEYS[1 + tonumber(ARGV[3 + 2 * i])], ARGV[4 + 2 * i])
    put = put + 1
end
redis.call('SET', KEYS[1], from + n, 'EX', ARGV[1])
return put
