-- What ordinary Haskell programs do: one line a thing, "done" at the end.
import Control.Concurrent
import Control.Exception
import Control.Monad
import Control.Monad.ST
import Data.Array.ST
import Data.Array.Unboxed
import qualified Data.ByteString.Char8 as B
import qualified Data.IntMap.Strict as IntMap
import Data.IORef
import Data.List (foldl', sort)

hot :: Int -> Int
hot rounds = foldl' (\total i -> (total * 31 + i) `mod` 1000003) 0 [0 .. rounds - 1]

depth :: Int -> Int
depth 0 = 0
depth n = 1 + depth (n - 1)

sieve :: Int -> UArray Int Bool
sieve n = runSTUArray $ do
  prime <- newArray (2, n) True
  forM_ (takeWhile (\i -> i * i <= n) [2 ..]) $ \i -> do
    still <- readArray prime i
    when still $ forM_ [i * i, i * i + i .. n] $ \j -> writeArray prime j False
  return prime

main :: IO ()
main = do
  line <- getLine
  putStrLn ("input " ++ line)
  putStrLn ("hot " ++ show (hot 3000000))
  boxes <- forM [1 .. 4 :: Int] $ \n -> do
    box <- newEmptyMVar
    _ <- forkIO (putMVar box $! n * n)
    return box
  squares <- mapM takeMVar boxes
  putStrLn ("threads " ++ show (sum squares))
  caught <- try (evaluate (1 `div` (length line - 5))) :: IO (Either ArithException Int)
  putStrLn ("caught " ++ either show show caught ++ " " ++ show (depth 1000000))
  putStrLn ("primes " ++ show (length (filter id (elems (sieve 100000)))))
  let counts = IntMap.fromListWith (+) [(n `mod` 1000, 1 :: Int) | n <- [0 .. 99999]]
  putStrLn ("maps " ++ show (IntMap.size counts) ++ " " ++ show (sum (IntMap.elems counts)))
  putStrLn ("big " ++ show ((2 :: Integer) ^ (1000 :: Int) `mod` 1000000007))
  putStrLn ("sorted " ++ show (head (sort [(n * 7919) `mod` 1000003 | n <- [1 .. 100000 :: Int]])))
  threadDelay 5000
  writeFile "note.txt" "kept"
  kept <- readFile "note.txt"
  putStrLn ("file " ++ kept)
  total <- newIORef (0 :: Int)
  forM_ [1 .. 1000] $ \n -> modifyIORef' total (+ n)
  readIORef total >>= \found -> putStrLn ("refs " ++ show found)
  B.putStrLn (B.replicate 200000 'x')
  putStrLn "done"
