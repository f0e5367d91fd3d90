-- Gives lists other names. KEYS: the lists, then as many new names. Answers how many messages that are, or -1 where a new
-- name is taken.
local n, moved = #KEYS / 2, 0
for i = 1, n do
    if redis.call('EXISTS', KEYS[n + i]) == 1 then return -1 end
end
for i = 1, n do
    local length = redis.call('LLEN', KEYS[i])
    if length > 0 then
        redis.call('RENAME', KEYS[i], KEYS[n + i])
        moved = moved + length
    end
end
return moved
