-- "accepted 1 2": the sum; and what else can become of a program.
import qualified Data.Map.Strict as Map

main :: IO ()
main = do
  [mode, a, b] <- words <$> getLine
  case mode of
    "crash" -> error mode
    "loop" -> turn 0
    "memory" -> print (Map.size (grow 0 Map.empty))
    "wrong" -> print (read a + read b + 1 :: Int)
    _ -> print (read a + read b :: Int)

turn :: Int -> IO ()
turn n = if n < 0 then print n else turn ((n * 31 + 7) `mod` 1000003)

grow :: Int -> Map.Map Int Int -> Map.Map Int Int
grow n kept = if n > 100000000 then kept else grow (n + 1) (Map.insert n n kept)
