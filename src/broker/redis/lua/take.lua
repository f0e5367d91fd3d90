-- Takes messages out of a list, or moves them to another.
-- KEYS: the list, and the list they go to, if any. ARGV: a value no message has, then for each message its place from the
-- right end, its bytes, and the bytes it goes on as. Answers 1 for each that was there.
local list, to, mark = KEYS[1], KEYS[2], ARGV[1]
local shift, tries, gone, taken = 0, 4000, 0, {}
for i = 2, #ARGV, 3 do
    local place, found = tonumber(ARGV[i]), false
    -- Workers take from the right end: what we saw may have slid there since.
    local back = shift
    while back <= place do
        if redis.call('LINDEX', list, back - place - 1) == ARGV[i + 1] then
            found, shift = true, back
            break
        end
        if tries == 0 then break end
        back, tries = back + 1, tries - 1
    end
    if found then
        redis.call('LSET', list, shift - place - 1, mark)
        gone = gone + 1
        if to then redis.call('LPUSH', to, ARGV[i + 2]) end
    end
    taken[#taken + 1] = found and 1 or 0
end
if gone > 0 then redis.call('LREM', list, -gone, mark) end
return taken
